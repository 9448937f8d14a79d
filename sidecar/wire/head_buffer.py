"""Where a head begins and ends in the bytes that arrive (RFC 9112 section 2.2).

What can no longer become a good head (NUL, a bare CR or LF) is refused at once, not when the head would end.
"""

import re
from typing import Final

from sidecar.wire.limits import Limits
from sidecar.wire.refusal import Reason, Refused

END: Final = b"\r\n\r\n"

A: Final = 0x41
Z: Final = 0x5A
"""A method begins with a capital letter: all that llhttp knows do."""

BREAKS: Final = {b"\n": Reason.BARE_LF, b"\r": Reason.BARE_CR, b"\0": Reason.NUL}
_BREAK: Final = re.compile(rb"(?<!\r)\n|\r(?=[^\n])|\0")


class HeadBuffer:
    """Collects a head that arrives in several pieces; a whole one never comes here."""

    __slots__ = ("_data", "_limits")

    def __init__(self, limits: Limits) -> None:
        self._data = bytearray()
        self._limits = limits

    def feed(self, data: bytes) -> tuple[bytes, bytes] | None:
        """Give the head and what follows it, once it is whole; nothing is kept then.

        Raises:
            Refused: it is too large, or can no longer become a good head.
        """
        held = self._data
        searched = max(0, len(held) - 3)
        held += data
        end = held.find(END, searched)
        if end >= 0:
            head, rest = bytes(held[: end + 4]), bytes(held[end + 4 :])
            held.clear()
            return head, rest
        if (broken := _BREAK.search(held, searched)) is not None:
            raise Refused(BREAKS[broken[0][:1]])
        if len(held) >= self._limits.head_bytes_max:
            raise Refused(Reason.HEAD_TOO_LARGE if b"\r\n" in held else Reason.TARGET_TOO_LONG)
        return None


def skip_empty_line(before: bytes, data: bytes) -> tuple[bytes, bytes]:
    """Skip one empty line before a request, as RFC 9112 section 2.2 asks; refuse what is no method.

    Args:
        before: what came of that line earlier.
        data: what came now.

    Returns:
        What has come of the line, and the data after it.

    Raises:
        Refused: something else comes first.
    """
    line = (before + data)[:2]
    if line == b"\r":
        return line, b""
    if line == b"\r\n":
        data = data[2 - len(before) :]
    elif line.startswith(b"\r"):
        raise Refused(Reason.BARE_CR)
    if data and not A <= data[0] <= Z:
        raise Refused(Reason.BAD_METHOD)
    return line, data
