"""Routes: what a base URL of an upstream may be."""

import ssl

import pytest

from sidecar.wire import Upstream


@pytest.mark.parametrize(
    ("url", "host", "port", "prefix", "authority"),
    [
        ("http://gateway", "gateway", 80, b"", b"gateway"),
        ("http://gateway:80/", "gateway", 80, b"", b"gateway"),
        ("http://gateway:8080/a/b/", "gateway", 8080, b"/a/b", b"gateway:8080"),
        ("http://[::1]:8080", "::1", 8080, b"", b"[::1]:8080"),
        ("http://10.0.0.1/%41//x", "10.0.0.1", 80, b"/%41//x", b"10.0.0.1"),
        ("http://bücher.example", "xn--bcher-kva.example", 80, b"", b"xn--bcher-kva.example"),
        ("https://Gateway.example", "gateway.example", 443, b"", b"gateway.example"),
    ],
)
def test_a_base_url_says_where_to_connect_and_what_to_call_it(
    url: str, host: str, port: int, prefix: bytes, authority: bytes
) -> None:
    """The default port is left out of Host; the prefix is kept byte for byte, without its last slash."""
    upstream = Upstream.parse(url)

    assert (upstream.host, upstream.port) == (host, port)
    assert (upstream.prefix, upstream.authority) == (prefix, authority)
    assert (upstream.tls is None) == url.startswith("http:")


@pytest.mark.parametrize(
    "url",
    [
        "", "gateway", "ftp://gateway", "http://", "http://u:p@gateway", "http://gateway?x=1", "http://gateway/#f",
        "http://gateway:99999", "http://gateway:x", "http://gateway/a b", "http://gateway/ü", "unix:///run/x",
        "http://a..b",
    ],
)  # fmt: skip
def test_anything_else_is_refused(url: str) -> None:
    """A URL that could be read in two ways, or carries a secret, is no upstream."""
    with pytest.raises(ValueError, match="upstream"):
        Upstream.parse(url)


def test_tls_verifies_chain_and_name_unless_told_otherwise() -> None:
    """There is no way to switch verification off; the name to verify can be given."""
    upstream = Upstream.parse("https://10.0.0.1", server_name="gateway.example")

    assert upstream.tls is not None
    assert upstream.tls.verify_mode is ssl.CERT_REQUIRED
    assert upstream.tls.check_hostname
    assert upstream.server_name == "gateway.example"
