"""What a reader is, what it gives back, and how untrusted JSON is narrowed.

    UnreadableExchange      the one error a reader raises: nothing at all could be read; `reason` is a Fault

A reader states facts and nothing else: it keeps no state, asks no clock, writes no log. Whatever the wire
hands it, it returns a Reading or raises UnreadableExchange. Rules of the provider notes, which the fixtures
follow, are cited as R1 to R15, their sections as "notes n.n".
"""

import re
from typing import Final, NamedTuple, Protocol, TypeVar

import msgspec

from domain.event import Event
from domain.exchange import Unknown
from domain.words import Word
from sidecar.exchange import Body, BodyState, Exchange, Verification

OTHER: Final = "_OTHER"
"""Template of a request no table names."""
CALLBACK: Final = "/{callback}"
"""Template of every callback: its path is the dispatcher's choice and may hold anything."""

UNKNOWN_MAX: Final = 16
"""Unknown names one exchange may report; a batch of strangers says nothing more than its first."""

T = TypeVar("T")


class Action(Word):
    """What a dispatcher asked for; the context's `action`."""

    SEND_TEXT = "SEND_TEXT"
    SEND_MEDIA = "SEND_MEDIA"
    SEND_AUDIO = "SEND_AUDIO"
    SEND_REACTION = "SEND_REACTION"
    SET_PRESENCE = "SET_PRESENCE"
    MARK_AS_READ = "MARK_AS_READ"
    CONNECT = "CONNECT"
    GET_QRCODE = "GET_QRCODE"
    GET_STATUS = "GET_STATUS"
    LOGOUT = "LOGOUT"
    OTHER = "OTHER"


SENDS: Final = frozenset({Action.SEND_TEXT, Action.SEND_MEDIA, Action.SEND_AUDIO, Action.SEND_REACTION})
CONNECTS: Final = frozenset({Action.CONNECT, Action.GET_QRCODE, Action.GET_STATUS})


class Fault(Word):
    """Why an exchange, or a part of it, could not be read. A closed set: it becomes a label."""

    BODY_EMPTY = "body_empty"
    """A body was needed and there was none."""
    BODY_CUT = "body_cut"
    """Larger than the copy, or broken off."""
    BODY_UNDECODABLE = "body_undecodable"
    """Its content coding could not be undone."""
    BODY_UNREADABLE = "body_unreadable"
    """Not JSON, nested beyond the decoder's depth, or not in the provider's shape."""
    DATA_MISSING = "data_missing"
    """Well-formed, but without what its own kind promises."""


class UnreadableExchange(Exception):  # noqa: N818 - the name the house gave it
    """Nothing of this exchange could be read. `reason` is countable, `template` as in Reading."""

    def __init__(self, reason: Fault, template: str = OTHER) -> None:
        super().__init__(reason.value)
        self.reason = reason
        self.template = template


class Reading(NamedTuple):
    """What a reader found in one exchange.

    Attributes:
        events: facts, in the order of the body. May hold raw chat ids: only `to_signal` may see them.
        template: route template without the method, CALLBACK for callbacks, OTHER when no table names it.
        unknown: schema drift, bounded names, at most UNKNOWN_MAX.
        fault: why a part could not be read, None when all of it was.
    """

    events: list[Event]
    template: str = OTHER
    unknown: tuple[Unknown, ...] = ()
    fault: Fault | None = None


class Reader(Protocol):
    """Reads one provider's traffic. Pure: the same exchange gives the same reading."""

    @property
    def name(self) -> str:
        """The provider, as `SIDECAR_PROVIDER` spells it."""
        ...

    def read(self, exchange: Exchange) -> Reading:
        """State the facts of an exchange.

        Raises:
            UnreadableExchange: nothing could be read; no other exception leaves.
        """
        ...

    def verification(self, exchange: Exchange, secret: bytes) -> Verification | None:
        """Start checking a callback's signature by the provider's scheme.

        None where the provider signs nothing (the Cloud API's GET handshake).
        """
        ...


_NAME: Final = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_DIGIT: Final = re.compile(r"[0-9]")
NAME_DIGITS_MAX: Final = 6
"""Digits in a name, wherever they stand: event names have none or few, phone numbers and tokens many."""


def safe_name(name: object) -> str:
    """Give a name from outside if it is short, plain and can be neither number nor token; else `other`."""
    text = str(name) if isinstance(name, str | int) else ""
    if _NAME.fullmatch(text) and len(_DIGIT.findall(text)) <= NAME_DIGITS_MAX:
        return text
    return "other"


def drift(kind: str, name: object) -> tuple[Unknown, ...]:
    """Report a name no table knows."""
    return (Unknown(kind, safe_name(name)),)


_STATE_FAULT: Final = {
    BodyState.EMPTY: Fault.BODY_EMPTY,
    BodyState.CUT: Fault.BODY_CUT,
    BodyState.UNDECODABLE: Fault.BODY_UNDECODABLE,
}
_HIGH: Final = rb"\\u[dD][89abAB][0-9a-fA-F]{2}"
_LOW: Final = rb"\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_HALF_PAIRS: Final = (
    re.compile(_HIGH + rb"(?!" + _LOW + rb")"),
    re.compile(_LOW[:3] + rb"(?<!" + _HIGH + rb"\\u)" + _LOW[3:]),
)
"""Escaped halves of surrogate pairs (RFC 8259 section 7). Plain bytes first: in 256 KiB that hold none `re`
looks for a run of backslashes in front for 36 ms, for these for 0.4."""
_BACKSLASH: Final = ord("\\")
REPAIRS_MAX: Final = 1024
"""Halves replaced a body: a text is cut once, so more of them are no accident."""


def decoded(decoder: msgspec.json.Decoder[T], body: Body) -> T | Fault:
    """Narrow a whole JSON body to the decoder's type, or say why that is impossible."""
    data, state = body
    fault = _STATE_FAULT.get(state)
    if fault is not None:
        return fault
    try:
        return decoder.decode(data)
    except (ValueError, RecursionError):
        return narrowed(decoder, data)


def narrowed(decoder: msgspec.json.Decoder[T], data: bytes | msgspec.Raw) -> T | Fault:
    """Narrow JSON to the decoder's type; fields that its structs do not name are skipped."""
    try:
        return decoder.decode(data)
    except msgspec.ValidationError:
        return Fault.BODY_UNREADABLE
    except (ValueError, RecursionError):
        return _second_look(decoder, bytes(data))


def _second_look(decoder: msgspec.json.Decoder[T], data: bytes) -> T | Fault:
    """Read again without a byte order mark and without half surrogate pairs.

    JavaScript gateways escape half a pair where a text was cut inside an emoji; msgspec refuses such a body.
    """
    repaired = data.removeprefix(b"\xef\xbb\xbf")
    for half in _HALF_PAIRS:
        repaired = half.sub(_replacement, repaired, REPAIRS_MAX)
    if repaired == data:
        return Fault.BODY_UNREADABLE
    try:
        return decoder.decode(repaired)
    except (ValueError, RecursionError):
        return Fault.BODY_UNREADABLE


def _replacement(half: re.Match[bytes]) -> bytes:
    """Give what stands for half a pair; behind an odd run of backslashes it is text, and stays."""
    at = run = half.start()
    while run and half.string[run - 1] == _BACKSLASH:
        run -= 1
    return half[0] if (at - run) % 2 else rb"\ufffd"
