"""The tap on one body: takes its chunks, keeps a bounded copy."""

from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from functools import partial
from typing import Final

from sidecar.exchange import NO_BODY, Body, BodyState, Headers
from sidecar.observation.codings import DECODERS, CodingError, Decoder
from sidecar.observation.long_strings import LongStrings

COPY_MAX: Final = 256 << 10
STRING_MAX: Final = 8 << 10
RATIO_MAX: Final = 100
RATIO_FROM: Final = 1 << 20
"""Decoded bytes from which the ratio counts; small honest bodies compress better than 100:1."""

DECODED_MAX: Final = 64 << 20
"""Decoded bytes looked at; a larger body counts as cut."""

CODINGS_MAX: Final = 2
_START_BYTES: Final = 64
"""Looked at to tell a JSON text."""

PARTS_MAX: Final = 1024
"""Chunks kept apart: a body that comes byte by byte must not cost fifty times its size."""

COPY_FIELDS: Final = frozenset((b"content-type", b"content-encoding"))
"""All that counts of a head to how its body is copied."""

_MEDIA: Final = (b"image/", b"video/", b"audio/", b"font/", b"application/octet-stream")
"""Content types that hold no facts; their bodies are not copied."""


class Unseen(StrEnum):
    """Why a body was not wholly observed."""

    CUT = "cut"
    CODING_UNKNOWN = "coding_unknown"
    CORRUPT = "corrupt"
    RATIO = "ratio"


class BodyTap:
    """Implements `sidecar.exchange.BodyCopy`.

    A body of at most `copy_max` decoded bytes is kept as it is. Only in a larger one are long JSON strings
    left out; what then is still larger is cut, and nothing of it kept. The result is the same however the
    body was split into chunks (the ratio bound alone is applied to what has come so far).

    Args:
        headers: of the message; content type and content coding count.
        copy_max: bytes kept.
        string_max: bytes a JSON string may have in a body larger than that.
        ratio_max: decoded bytes for each received one, from 1 MiB on.

    Attributes:
        unseen: why the body was not wholly observed; None if it was.
    """

    # Defaults of the class, so that the usual body sets four attributes and no more.
    unseen: Unseen | None = None
    _used = 0
    _received = 0
    _done = False
    _media = False
    _plain = True
    _filter: LongStrings | None = None
    _decoders: Sequence[Decoder] = ()

    def __init__(
        self,
        headers: Headers,
        *,
        copy_max: int = COPY_MAX,
        string_max: int = STRING_MAX,
        ratio_max: int = RATIO_MAX,
    ) -> None:
        self._copy_max = copy_max
        self._string_max = string_max
        self._ratio_max = ratio_max
        self._kept: list[bytes] = []
        codings = b""
        for name, value in headers:
            length = len(name)
            if length == 12 and name.lower() == b"content-type":
                if value[:24].lower().startswith(_MEDIA):
                    self._media = self._done = True
                    self._plain = False
            elif length == 16 and name.lower() == b"content-encoding":
                codings += b"," + value
        if codings:
            self._prepare(codings)

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the payload; never raises."""
        if self._plain:
            self._kept.append(chunk)
            self._used += len(chunk)
            if self._used > self._copy_max:
                self._outgrown()
            elif len(self._kept) > PARTS_MAX:
                self._kept = [b"".join(self._kept)]
        elif self._done:
            self._received += len(chunk)
        elif self._decoders:
            self._decode(chunk)
        else:
            self._keep(chunk)

    def finish(self, *, complete: bool) -> Body:
        """Give the copy; `complete` tells whether the body ended as its framing promised."""
        if self._plain and complete:
            if len(self._kept) == 1:
                data = self._kept[0]
                return Body(data, BodyState.WHOLE) if data else NO_BODY
        elif self._media:
            return NO_BODY
        elif not complete:
            self.unseen = self.unseen or Unseen.CUT
        elif self._received and not self._done and not all(decoder.complete for decoder in self._decoders):
            self._refuse(Unseen.CORRUPT)
        if self._filter is not None and not self._done:
            self._append(self._filter.finish())
        return self._body()

    def _body(self) -> Body:
        if self.unseen is not None and self.unseen is not Unseen.CUT:
            return Body(b"", BodyState.UNDECODABLE) if self._received else NO_BODY
        data = self._kept[0] if len(self._kept) == 1 else b"".join(self._kept)
        if self.unseen is not None:
            return Body(data, BodyState.CUT)
        if self._filter is not None and self._filter.elided:
            return Body(data, BodyState.ELIDED)
        return Body(data, BodyState.WHOLE) if data else NO_BODY

    @property
    def plain(self) -> bool:
        """Whether what comes is kept as it is: no coding, no media."""
        return self._plain

    # -- keeping ------------------------------------------------------------------------------------

    def _keep(self, data: bytes) -> None:
        """Keep decoded bytes, within the bound."""
        if self._filter is not None:
            self._append(self._filter.feed(data))
            return
        self._kept.append(data)
        self._used += len(data)
        if self._used > self._copy_max:
            self._outgrown()

    def _outgrown(self) -> None:
        """Leave long strings out of a JSON text from its beginning; cut anything else."""
        kept, self._kept, self._used = self._kept, [], 0
        self._plain = False
        start = b""
        for piece in kept:
            start += piece[: _START_BYTES - len(start)]
        if start.lstrip(b" \t\r\n\xef\xbb\xbf")[:1] not in (b"{", b"["):
            self._cut()
            return
        self._filter = LongStrings(self._string_max)
        for piece in kept:
            self._append(self._filter.feed(piece))
            if self._done:
                return

    def _append(self, pieces: Iterable[bytes]) -> None:
        for piece in pieces:
            if len(piece) > self._copy_max - self._used:
                self._cut()
                return
            self._kept.append(piece)
            self._used += len(piece)
        if len(self._kept) > PARTS_MAX:
            self._kept = [b"".join(self._kept)]

    # -- decoding -----------------------------------------------------------------------------------

    def _prepare(self, codings: bytes) -> None:
        names = [
            name for part in codings.lower().split(b",") if (name := part.strip()) and name != b"identity"
        ]
        if not names:
            return
        self._plain = False
        if len(names) > CODINGS_MAX or any(name not in DECODERS for name in names):
            self._refuse(Unseen.CODING_UNKNOWN)
            return
        self._decoders = [DECODERS[name]() for name in reversed(names)]
        self._sizes = [0] * len(names)

    def _decode(self, chunk: bytes) -> None:
        if not chunk:
            return
        self._received += len(chunk)
        try:
            for piece in self._decoded(chunk, 0):
                self._keep(piece)
                if self._done:
                    return
        except CodingError:
            self._refuse(Unseen.CORRUPT)

    def _decoded(self, data: bytes, stage: int) -> Iterable[bytes]:
        """Decode through one stage and those behind it, piece by piece, within the ratio."""
        last = stage == len(self._decoders) - 1
        for piece in self._decoders[stage].feed(data):
            self._sizes[stage] += len(piece)
            size = self._sizes[stage]
            if size > RATIO_FROM and size > self._received * self._ratio_max:
                self._refuse(Unseen.RATIO)
                return
            if size > DECODED_MAX:
                self._cut()
                return
            if last:
                yield piece
            else:
                yield from self._decoded(piece, stage + 1)
            if self._done:
                return

    def _cut(self) -> None:
        """Give up on a body that outgrew its bound: nobody reads a part of one, so none is kept in memory."""
        self._done = True
        self.unseen = Unseen.CUT
        self._kept, self._used = [], 0

    def _refuse(self, reason: Unseen) -> None:
        """Give up on a body that cannot be decoded; what was kept is worth nothing."""
        self.unseen = reason
        self._done = True
        self._kept, self._used = [], 0


_new_body: Final[Callable[[tuple[bytes, BodyState]], Body]] = partial(tuple.__new__, Body)
# Python 3.11 takes 0.1 microseconds to find a member in its class.
_WHOLE: Final = BodyState.WHOLE


class TapCopier:
    """Implements `sidecar.exchange.Copier`: makes the taps of bodies that come under the same fields."""

    __slots__ = ("_headers", "_limits", "_whole_max")

    def __init__(
        self,
        headers: Headers,
        *,
        copy_max: int = COPY_MAX,
        string_max: int = STRING_MAX,
        ratio_max: int = RATIO_MAX,
    ) -> None:
        self._headers = headers
        self._limits = (copy_max, string_max, ratio_max)
        self._whole_max = copy_max if self.start().plain else -1

    def start(self) -> BodyTap:
        """Start a copy of a body that streams by."""
        copy_max, string_max, ratio_max = self._limits
        return BodyTap(self._headers, copy_max=copy_max, string_max=string_max, ratio_max=ratio_max)

    def whole(self, payload: bytes) -> Body:
        """Give the copy of a body that came in one piece, mostly that piece itself."""
        if 0 < len(payload) <= self._whole_max:
            return _new_body((payload, _WHOLE))
        tap = self.start()
        tap.feed(payload)
        return tap.finish(complete=True)
