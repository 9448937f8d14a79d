"""Seals: the digest of a whole message, carried in a header of its own: any changed byte shows."""

import hashlib
from collections.abc import Iterable
from typing import Final

SEAL: Final = b"X-Seal"
Headers = list[tuple[bytes, bytes]]

FRAMING: Final = frozenset({b"host", b"connection", b"transfer-encoding", b"x-seal"})
"""What a proxy may change (RFC 9110 section 7.6.1, and `Host`), and the seal itself."""


def seal(first: Iterable[bytes], headers: Iterable[tuple[bytes, bytes]], body: bytes) -> bytes:
    """Give the digest of a start line, its header fields in order and case, and the payload."""
    digest = hashlib.sha256()
    for part in first:
        digest.update(part + b"\0")
    for name, value in headers:
        if name.lower() not in FRAMING:
            digest.update(name + b":" + value + b"\n")
    digest.update(b"\0" + body)
    return digest.hexdigest().encode()


def sealed(first: Iterable[bytes], headers: Headers, body: bytes) -> Headers:
    """Give the headers with the seal as the last."""
    return [*headers, (SEAL, seal(first, headers, body))]


def intact(first: Iterable[bytes], headers: Headers, body: bytes) -> bool:
    """Tell whether the message is what its sender sealed; one without a seal is not."""
    found = [value for name, value in headers if name.lower() == SEAL.lower()]
    return found == [seal(first, headers, body)]
