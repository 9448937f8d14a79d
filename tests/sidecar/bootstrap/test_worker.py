"""How a worker is wired together."""

from sidecar.bootstrap.worker import COPIERS_MAX, body_copies
from sidecar.exchange import Headers
from sidecar.settings import Settings


def test_bodies_under_the_same_fields_share_a_copier_and_others_do_not() -> None:
    """Only type and coding count, in any letters of their names; the memo is bounded."""
    copier_of = body_copies(Settings(provider_url="http://gateway"))
    usual: Headers = [(b"Host", b"h"), (b"Content-Type", b"application/json")]
    coded: Headers = [*usual, (b"content-ENCODING", b"gzip")]
    payload = b'{"to":"1"}'

    usual_copier = copier_of(usual)
    for number in range(COPIERS_MAX + 1):
        copier_of([(b"content-type", b"x/%d" % number)])

    assert copier_of([(b"X-Id", b"1"), *usual]) is copier_of(usual)
    assert copier_of(usual) is not usual_copier, "forgotten by then"
    assert copier_of(usual).whole(payload).data == payload
    assert copier_of(coded).whole(payload).data == b""
    assert copier_of([(b"Content-Type", b"image/png")]).whole(payload).data == b""
