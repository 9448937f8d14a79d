"""Query parameters: how each is read and how it is described, side by side.

A value is bounded before it is read; a message names the field and what it must be, never the value. A name
that a route does not know is refused: a misspelt filter must not silently show everything.
"""

import re
from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Any, Final, Generic, NamedTuple, TypeVar
from urllib.parse import unquote_to_bytes

from aiohttp import web

from domain.errors import SignalRejected
from domain.signal import INSTANCE_ID_MAX, TIME_MAX, check_instance_id
from domain.timeline import LIMIT_DEFAULT, LIMIT_MAX
from domain.words import Millis, Severity, SignalType, Source
from sidecar.api import times
from sidecar.api.errors import ApiError, bad_request

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)

QUERY_MAX: Final = 4096
VALUE_MAX: Final = 1024
MESSAGE_ID_TEXT_MAX: Final = 512
CURSOR_MAX: Final = 1024
INSTANCE_EXAMPLE: Final = "sales-1"
TIME_EXAMPLE: Final = "2026-01-31T12:00:00.000Z"
NO_CONTROLS: Final = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]+$"
"""What the domain lets into an id (`domain.signal`), for descriptions. Lone surrogates, which it refuses too,
cannot stand in well-formed JSON, and not every dialect of patterns can name them."""
_NO_CONTROLS: Final = re.compile(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
CURSOR_FORM: Final = r"^[A-Za-z0-9_-]+$"


class Param(NamedTuple, Generic[T]):
    """One query parameter.

    Attributes:
        read: text to value; a ValueError means that the text is not `must_be`.
        must_be: completes the sentence "<name> must be ...".
        schema: JSON Schema of the text.
        example: a text that is good, for the description.
        several: given more than once, its texts are joined by commas.
    """

    name: str
    read: Callable[[str], T]
    must_be: str
    schema: dict[str, Any]
    description: str
    example: str
    several: bool = False


class Query:
    """The parameters of one request, each read at most once.

    Raises:
        ApiError: 414 a query that is too long, 400 a name that the route does not know or a repeated one.
    """

    def __init__(self, request: web.Request, known: Iterable[Param[Any]]) -> None:
        if len(request.query_string) > QUERY_MAX:
            raise ApiError(414, "query_too_long", f"the query string has more than {QUERY_MAX} characters")
        params = {param.name: param for param in known}
        self._texts: dict[str, str] = {}
        for name, text in request.query.items():
            param = params.get(name)
            if param is None:
                names = ", ".join(sorted(params)) or "none"
                raise ApiError(400, "unknown_parameter", f"this route takes these parameters: {names}")
            if name in self._texts and not param.several:
                raise bad_request(name, f"{name} must be given once")
            self._texts[name] = f"{self._texts[name]},{text}" if name in self._texts else text

    def get(self, param: Param[T]) -> T | None:
        """Give a parameter's value, None when it is absent or empty (what Grafana sends for "all").

        Raises:
            ApiError: 400, the text is not what it must be.
        """
        text = self._texts.get(param.name)
        if not text:
            return None
        message = f"{param.name} must be {param.must_be}"
        if len(text) > VALUE_MAX:
            raise bad_request(param.name, message)
        try:
            return param.read(text)
        except ValueError:
            raise bad_request(param.name, message) from None


def integer(
    name: str, low: int, high: int, description: str, default: int | None = None, example: int | None = None
) -> Param[int]:
    """Make a parameter that is a whole number within bounds."""

    def read(text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) <= 15 and low <= int(text) <= high):
            raise ValueError
        return int(text)

    schema: dict[str, Any] = {"type": "integer", "minimum": low, "maximum": high}
    if default is not None:
        schema["default"] = default
    shown = default if example is None else example
    return Param(name, read, f"a whole number from {low} to {high}", schema, description, str(shown or low))


def time(name: str, description: str) -> Param[Millis]:
    """Make a parameter that is a time."""
    schema = {
        "oneOf": [
            {"type": "string", **times.TEXT_SCHEMA},
            {"type": "integer", "minimum": 0, "maximum": TIME_MAX, "description": "epoch milliseconds"},
        ]
    }
    must_be = "ISO-8601 (a + must be written %2B) or epoch milliseconds, from 1970 to 9999"
    return Param(name, times.parse, must_be, schema, description, TIME_EXAMPLE)


def choices(name: str, words: type[E], description: str) -> Param[frozenset[E]]:
    """Make a parameter that is one or several words of a closed set, by comma."""

    def read(text: str) -> frozenset[E]:
        return frozenset(words(part.strip()) for part in text.split(",") if part.strip())

    schema = {"type": "array", "items": {"type": "string", "enum": [word.value for word in words]}}
    must_be = f"of {', '.join(words)}; several by comma"
    return Param(name, read, must_be, schema, description, ",".join(list(words)[-2:]), several=True)


def choice(name: str, words: tuple[str, ...], description: str, default: str) -> Param[str]:
    """Make a parameter that is one word of a few."""

    def read(text: str) -> str:
        if text not in words:
            raise ValueError
        return text

    schema = {"type": "string", "enum": list(words), "default": default}
    return Param(name, read, " or ".join(words), schema, description, default)


def text(name: str, max_length: int, description: str, example: str, form: str = NO_CONTROLS) -> Param[str]:
    """Make a parameter that is a short text without control characters."""

    def read(value: str) -> str:
        if len(value) > max_length or not _NO_CONTROLS.fullmatch(value):
            raise ValueError
        return value

    schema = {"type": "string", "maxLength": max_length, "pattern": form}
    must_be = f"at most {max_length} characters without control characters"
    return Param(name, read, must_be, schema, description, example)


SINCE: Final = time("since", "First instant, inclusive. Default: a window (30 minutes) before `until`.")
UNTIL: Final = time("until", "Last instant, inclusive. Default: now.")
TYPE: Final = choices("type", SignalType, "Only these types.")
SEVERITY: Final = choices("severity", Severity, "Only these severities.")
SOURCE: Final = choices("source", Source, "Only these sources.")
MESSAGE_ID: Final = text(
    "messageId",
    MESSAGE_ID_TEXT_MAX,
    "Only this message, its id as the provider gave it; also where a digest of it is kept.",
    "3EB0A1",
)
ORDER: Final = choice("order", ("asc", "desc"), "By (occurredAt, arrival).", "asc")
LIMIT: Final = integer("limit", 1, LIMIT_MAX, "Most entries on a page.", LIMIT_DEFAULT)
CURSOR: Final = text(
    "cursor", CURSOR_MAX, "`nextCursor` of the page before; the same question otherwise.", "", CURSOR_FORM
)
INSTANCE_ID: Final = text("instanceId", INSTANCE_ID_MAX, "Only this instance.", INSTANCE_EXAMPLE)


def bounds(
    query: Query, now: Millis, window_ms: Millis, held: tuple[Millis, Millis] | None
) -> tuple[Millis, Millis]:
    """Give the inclusive bounds of a question.

    Args:
        query: may say `since` and `until`.
        now: the default of `until`.
        window_ms: how far before `until` a missing `since` lies.
        held: bounds that a cursor carries; "the last 30 minutes" must stay the same over all pages.

    Raises:
        ApiError: 400, the cursor belongs to other bounds.
    """
    since, until = query.get(SINCE), query.get(UNTIL)  # by name: a route may describe its own default
    if held is None:
        until = now if until is None else until
        return max(0, until - window_ms) if since is None else since, until
    if since not in (None, held[0]) or until not in (None, held[1]):
        raise bad_request("cursor", "cursor belongs to other bounds; start again without it", "bad_cursor")
    return held


def instance_of(request: web.Request) -> str:
    """Give the instance id of a path `/v1/instances/{id}/...`, percent-decoded once.

    Raises:
        ApiError: 400, it cannot name an instance.
    """
    # The router decodes too, but leaves bytes that are no UTF-8 as they stand: those must not name anything.
    segment = request.rel_url.raw_path.split("/")[3]
    try:
        instance_id = unquote_to_bytes(segment).decode("utf-8")
        check_instance_id(instance_id)
    except (SignalRejected, ValueError):
        message = f"instanceId must be 1 to {INSTANCE_ID_MAX} characters, no controls, percent-encoded UTF-8"
        raise bad_request("instanceId", message, "invalid_instance_id") from None
    return instance_id
