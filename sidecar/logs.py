"""Logs: one event a line on stdout, JSON or pretty, through a bounded queue and a thread.

    event class ─► structlog ─► renderer ─┐
    signal lines (exporters.log) ─────────┼─► LineWriter: queue ─► thread ─► stdout
    library loggers, from WARNING ────────┤
    our own stdlib loggers, from INFO ────┘

A reader of stdout that stops reading fills the pipe, then the queue; from there on lines are dropped and
counted, and nobody waits. No line holds a local variable. The message of an exception is shown only where its
class vouches for it: `KeyError` repeats the customer's text, `OSError` does not. Texts that may pass (those
exceptions, library loggers) lose what looks like a number, a chat id or a token, and are cut.
"""

import logging
import re
import sys
import traceback
from collections.abc import Callable, MutableMapping
from enum import StrEnum
from typing import IO, Any, Final, TypeAlias

import orjson
import structlog

from sidecar import telemetry
from sidecar.log_lines import LineWriter

TEXT_MAX: Final = 400
"""Characters kept of a text that comes from a library or an exception."""
FRAMES_MAX: Final = 16
CAUSES_MAX: Final = 4

_PERSONAL: Final = re.compile(
    r"\S*@(?:s\.whatsapp\.net|c\.us|g\.us|lid|newsletter|broadcast)\S*|wamid\.\S+|\+?\d{7,}|(?i:bearer|basic)\s+\S+"
    r"|(?i:token|secret|apikey|api_key|password|authorization)\s*[=:]\s*(?i:bearer\s+|basic\s+)?\S+|://[^/\s@]+@"
)
_VOUCHED_FOR: Final = frozenset(
    {"alembic", "domain", "exporters", "psycopg", "sidecar", "sqlalchemy", "sqlite3"}
)
"""Packages whose exceptions speak of connections, statements and settings, never of bodies and heads."""
_REPRESENTED: Final = re.compile(r"[(<\[{\n].*", re.DOTALL)
"""Where asyncio's messages begin to show callbacks with their arguments, which are bytes of the traffic."""
_OURS: Final = frozenset({"domain", "exporters", "sidecar"})
_RECORD_KEYS: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class LogFormat(StrEnum):
    """What `SIDECAR_LOG_FORMAT` may say."""

    AUTO = "auto"
    JSON = "json"
    CONSOLE = "console"


class _LineFile:
    """The part of a file that structlog's loggers use."""

    def __init__(self, writer: LineWriter) -> None:
        self._writer = writer

    def write(self, line: bytes) -> None:
        self._writer.write(line)

    def flush(self) -> None:
        """Nothing waits here."""


_Event: TypeAlias = MutableMapping[str, Any]


def scrub(text: str) -> str:
    """Blank what looks personal or secret in a text that is not ours, and cut it to 400 characters."""
    return _PERSONAL.sub("[removed]", text[: 4 * TEXT_MAX])[:TEXT_MAX]


def _is_ours(record: logging.LogRecord) -> bool:
    return record.name.split(".", 1)[0] in _OURS


def _name_event(_: Any, __: str, event: _Event) -> _Event:
    """Keep the event name of our own modules, with the fields they added; blank what libraries say."""
    record: logging.LogRecord = event["_record"]
    if _is_ours(record):
        event.update({key: value for key, value in vars(record).items() if key not in _RECORD_KEYS})
    else:
        text = str(event["event"])
        event["message"] = scrub(_REPRESENTED.sub("", text) if record.name.startswith("asyncio") else text)
        event["event"] = "library.logged"
    return event


def _render_exception(exc_info: Any) -> dict[str, Any]:
    """Give type, scrubbed message and places of an exception and what caused it; never a local variable."""
    error: BaseException | None = exc_info[1]
    chain: list[dict[str, Any]] = []
    while error is not None and len(chain) < CAUSES_MAX:
        frames = traceback.extract_tb(error.__traceback__)[-FRAMES_MAX:]
        chain.append(
            {
                "type": type(error).__qualname__,
                "message": _message(error),
                "frames": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
            }
        )
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return {"chain": chain}


def _message(error: BaseException) -> str:
    vouched = isinstance(error, OSError) or type(error).__module__.partition(".")[0] in _VOUCHED_FOR
    return scrub(str(error)) if vouched else "[removed]"


def _flat_exception(_: Any, __: str, event: _Event) -> _Event:
    exception = event.pop("exception", None)
    if isinstance(exception, dict):
        event["exception"] = exception["chain"]
    return event


class _QuietBadRequests(logging.Filter):
    """aiohttp logs a traceback for every request that is no HTTP; the line is enough."""

    def filter(self, record: logging.LogRecord) -> bool:
        kind = record.exc_info[0] if record.exc_info else None
        if kind is not None and kind.__module__.startswith("aiohttp.http"):
            record.exc_info = record.exc_text = None
        return True


def configure(
    log_format: LogFormat = LogFormat.AUTO, stream: IO[Any] | None = None, *, held: bool = False
) -> LineWriter:
    """Set up structlog and the standard library's loggers to write to `stream` (default stdout).

    Args:
        log_format: `auto` is pretty on a terminal, JSON elsewhere.
        stream: must have a descriptor.
        held: keep every line back until `LineWriter.release`, so that the ready line comes first.

    Returns:
        The writer everything goes through; close it last.
    """
    stream = sys.stdout if stream is None else stream
    pretty = is_pretty(log_format, stream)
    writer = LineWriter(stream.fileno(), held=held)
    add_time = structlog.processors.TimeStamper(fmt="iso", utc=True, key="timestamp")
    add_level = structlog.processors.add_log_level
    tail: list[Any] = [structlog.processors.ExceptionRenderer(_render_exception), _flat_exception]
    tail.append(_pretty_line if pretty else _json_line)
    structlog.configure(
        processors=[add_level, add_time, *tail],
        cache_logger_on_first_use=False,
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.BytesLoggerFactory(_LineFile(writer)),  # type: ignore[arg-type]  # uses two methods
    )
    handler = _ForeignHandler(writer)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                add_level,
                structlog.stdlib.add_logger_name,
                add_time,
                _name_event,
            ],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *tail[:-1],
                _as_text(tail[-1]),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    for ours in _OURS:
        logging.getLogger(ours).setLevel(logging.INFO)
    for quiet in ("aiohttp.server", "aiohttp.access"):
        logging.getLogger(quiet).addFilter(_QuietBadRequests())
    return writer


def is_pretty(log_format: LogFormat, stream: IO[Any]) -> bool:
    """Tell whether lines on this stream are for people."""
    return stream.isatty() if log_format is LogFormat.AUTO else log_format is LogFormat.CONSOLE


class _ForeignHandler(logging.Handler):
    """Hands lines of library loggers to the writer."""

    def __init__(self, writer: LineWriter) -> None:
        super().__init__()
        self._writer = writer

    def emit(self, record: logging.LogRecord) -> None:
        if _is_ours(record):
            telemetry.count(record.msg if isinstance(record.msg, str) else "")
        try:
            self._writer.write(self.format(record).encode("utf-8", "replace") + b"\n")
        except Exception:  # noqa: BLE001 - a library's broken record must not reach the library's caller
            self._writer.write(
                b'{"event":"library.logged","level":"warning","message":"unreadable record"}\n'
            )


def _json_line(_: Any, __: str, event: _Event) -> bytes:
    try:
        return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS)
    except TypeError:  # a lone surrogate, or an integer beyond 64 bits
        return orjson.dumps({key: repr(value) for key, value in event.items()})


def _as_text(render: Callable[..., bytes]) -> Callable[..., str]:
    return lambda logger, name, event: render(logger, name, event).decode("utf-8", "replace")


def _pretty_line(_: Any, name: str, event: _Event) -> bytes:
    chain = event.pop("exception", ())
    text = str(_CONSOLE(None, name, event))
    for error in chain:
        text += f"\n  {error['type']}: {error['message']}" + "".join(
            f"\n    {place}" for place in error["frames"]
        )
    return text.encode("utf-8", "replace")


_CONSOLE: Final = structlog.dev.ConsoleRenderer(colors=sys.platform != "win32")
