"""Leaves the content of long JSON strings out of a stream: base64 media goes, the fields around it stay.

`{"caption": "hi", "base64": "<20 MB>", "n": 1}` becomes `{"caption": "hi", "base64": "", "n": 1}`. Works on
bytes without decoding anything; what is no JSON comes out unharmed or shortened, never as an error. The
result does not depend on how the stream is split.
"""

import re
from functools import lru_cache
from typing import Final

_QUOTE: Final = b'"'
_BACKSLASH: Final = ord("\\")
_CONTENT: Final = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)

_ESCAPES: Final = 32
"""Escapes a string may have to be passed over by one regular expression with its neighbours."""


@lru_cache(maxsize=8)
def _short_strings(string_max: int) -> re.Pattern[bytes]:
    """Match as many complete strings as possible that are certainly not too long, at the speed of C."""
    plain = string_max // 2
    between = max(0, (string_max - plain) // _ESCAPES - 2)
    escapes = _ESCAPES if between else 0
    content = rb'[^"\\]{0,%d}+(?:\\.[^"\\]{0,%d}+){0,%d}+' % (plain, between, escapes)
    return re.compile(rb'(?:[^"]*+"%b")*+' % content, re.DOTALL)


class LongStrings:
    """Filters one stream.

    Args:
        string_max: bytes between the quotes, as they stand in the text, that a string may have.

    Attributes:
        elided: whether anything was left out.
    """

    def __init__(self, string_max: int) -> None:
        self._max = string_max
        self._short = _short_strings(string_max)
        self._inside = False
        self._escaped = False
        self._held: list[bytes] = []
        self._length = 0
        self.elided = False

    def feed(self, chunk: bytes) -> list[bytes]:
        """Take the next bytes, give what is certain by now; keeps back less than `string_max` bytes."""
        out: list[bytes] = []
        at, size = 0, len(chunk)
        while at < size:
            if self._inside:
                end = self._end_of_string(chunk, at)
                self._hold(chunk, at, size if end < 0 else end)
                if end < 0:
                    break
                out += self._held
                out.append(_QUOTE)
                self._held = []
                self._inside = False
                at = end + 1
                continue
            match = self._short.match(chunk, at)
            passed = match.end() if match else at
            quote = chunk.find(_QUOTE, passed)
            stop = size if quote < 0 else quote + 1
            out.append(chunk[at:stop])
            if quote >= 0:
                self._inside, self._length = True, 0
            at = stop
        return out

    def finish(self) -> list[bytes]:
        """Give what was kept back: the beginning of a string that never ended."""
        held, self._held = self._held, []
        return held

    def _hold(self, chunk: bytes, start: int, stop: int) -> None:
        self._length += stop - start
        if self._length > self._max:
            self._held = []
            self.elided = True
        else:
            self._held.append(chunk[start:stop])

    def _end_of_string(self, chunk: bytes, at: int) -> int:
        """Find the closing quote; -1 when it is not in this chunk."""
        if self._escaped:
            self._escaped = False
            at += 1
        quote = chunk.find(_QUOTE, at)
        if quote == at or (quote > at and chunk[quote - 1] != _BACKSLASH):
            return quote
        if quote < 0 and chunk[-1] != _BACKSLASH:
            return -1
        match = _CONTENT.match(chunk, at)
        end = match.end() if match else at
        if end < len(chunk) and chunk[end : end + 1] == _QUOTE:
            return end
        self._escaped = end < len(chunk)  # a backslash that ends the chunk
        return -1
