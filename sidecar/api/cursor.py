"""Cursors: opaque to the caller, a sort key and a fingerprint of the question inside.

A cursor holds no secret and gives no right; the fingerprint only keeps a cursor from being used with another
question, where it would silently skip rows.
"""

import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Annotated, Final, TypeVar

import msgspec

from domain.signal import INSTANCE_ID_MAX, TIME_MAX
from sidecar.api.errors import ApiError, bad_request
from sidecar.api.params import NO_CONTROLS

T = TypeVar("T")

_FINGERPRINT_BYTES: Final = 6

# Anyone can make a cursor: what stands inside is bounded like every other input, by what a database can hold.
KeyTime = Annotated[int, msgspec.Meta(ge=0, le=TIME_MAX)]
KeyNumber = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
KeyInstance = Annotated[str, msgspec.Meta(max_length=INSTANCE_ID_MAX, pattern=NO_CONTROLS)]


def fingerprint(*question: object) -> str:
    """Give a short digest of what a question asks; equal questions give equal text."""
    return hashlib.blake2b(repr(question).encode(), digest_size=_FINGERPRINT_BYTES).hexdigest()


def pack(asked: str, key: object) -> str:
    """Print a cursor; `key` is anything JSON can hold."""
    return urlsafe_b64encode(msgspec.json.encode((asked, key))).rstrip(b"=").decode()


def unpack(text: str, asked: str, key_type: type[T]) -> T:
    """Read a cursor.

    Raises:
        ApiError: 400, it is none of ours, or of another question.
    """
    try:
        padded = text + "=" * (-len(text) % 4)
        found, key = msgspec.json.decode(urlsafe_b64decode(padded), type=tuple[str, msgspec.Raw])
        if found != asked:
            raise _of_another_question()
        return msgspec.json.decode(key, type=key_type)
    except (ValueError, UnicodeEncodeError, msgspec.MsgspecError):
        raise bad_request("cursor", "cursor must be a nextCursor of this route", "bad_cursor") from None


def _of_another_question() -> ApiError:
    return bad_request("cursor", "cursor belongs to another question; start again without it", "bad_cursor")
