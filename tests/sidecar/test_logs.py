"""Log set-up: one event a line, nothing sensitive in it, whoever logs."""

import json
import logging
import os
import pty
from collections.abc import Callable, Iterator
from typing import IO, Any

import msgspec
import pytest
import structlog

from domain.errors import StoreUnavailable
from sidecar import telemetry
from sidecar.logs import LogFormat, configure, scrub

SECRET = "s3cr3t-token-value"


@pytest.fixture
def logged() -> Iterator[Callable[[Callable[[], None], LogFormat], list[bytes]]]:
    """Runs a function with logs set up on a pipe and gives the lines it wrote."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    files: list[IO[Any]] = []

    def run(
        act: Callable[[], None], log_format: LogFormat = LogFormat.JSON, *, terminal: bool = False
    ) -> list[bytes]:
        if terminal:
            reading, writing = pty.openpty()
            stream = os.fdopen(writing, "w")
            writer = configure(log_format, stream)
            act()
            assert writer.close()
            shown = os.read(reading, 65536)  # before it hangs up: what a closed terminal held is gone
            stream.close()
            os.close(reading)
            return shown.splitlines()
        reading, writing = os.pipe()
        stream = os.fdopen(writing, "w")
        files.append(stream)
        writer = configure(log_format, stream)
        act()
        assert writer.close()
        stream.close()
        with os.fdopen(reading, "rb") as source:
            return source.read().splitlines()

    yield run
    root.handlers[:] = before
    root.setLevel(level)
    structlog.reset_defaults()


Logged = Callable[..., list[bytes]]


def test_an_event_is_one_json_object_a_line(logged: Logged) -> None:
    """Name, level, time and fields, machine-readable."""

    def act() -> None:
        structlog.get_logger().info("sidecar.started", workers=2)

    [line] = logged(act)

    event = json.loads(line)
    assert event.pop("timestamp").endswith("Z")
    assert event == {"event": "sidecar.started", "level": "info", "workers": 2}


def test_auto_means_json_where_nobody_looks(logged: Logged) -> None:
    """A pipe is no terminal."""
    [line] = logged(lambda: structlog.get_logger().info("sidecar.started"), LogFormat.AUTO)

    assert json.loads(line)["event"] == "sidecar.started"


def test_auto_is_for_people_on_a_terminal(logged: Logged) -> None:
    """Whoever starts it by hand reads lines, whoever collects them gets JSON."""
    act = lambda: structlog.get_logger().info("sidecar.started", workers=2)  # noqa: E731 - as short as it gets

    [line] = logged(act, LogFormat.AUTO, terminal=True)
    [forced] = logged(act, LogFormat.JSON, terminal=True)

    assert b"sidecar.started" in line
    assert not line.startswith(b"{")
    assert json.loads(forced)["workers"] == 2


def test_console_lines_are_for_people(logged: Logged) -> None:
    """The pretty form is no JSON and names the event and its fields."""
    [line] = logged(lambda: structlog.get_logger().info("sidecar.started", workers=2), LogFormat.CONSOLE)

    assert b"sidecar.started" in line
    assert b"workers" in line
    with pytest.raises(json.JSONDecodeError):
        json.loads(line)


def test_a_traceback_holds_no_local_variable_and_no_secret(logged: Logged) -> None:
    """Local variables carry bodies and tokens; the message loses what looks personal."""

    def fail() -> None:
        secret_local = SECRET + "-local"
        raise ValueError(f"token={SECRET} for 5511987654321@s.whatsapp.net, {len(secret_local)} characters")

    def act() -> None:
        try:
            fail()
        except ValueError:
            structlog.get_logger().exception("observer.crashed")

    for log_format in (LogFormat.JSON, LogFormat.CONSOLE):
        text = b"\n".join(logged(act, log_format))
        assert b"observer.crashed" in text
        assert b"ValueError" in text
        assert b"fail" in text
        assert SECRET.encode() not in text
        assert b"5511987654321" not in text


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (KeyError("Dear customer"), "[removed]"),
        (ValueError("invalid literal: 'Dear customer'"), "[removed]"),
        (msgspec.ValidationError("Invalid enum value 'Dear customer'"), "[removed]"),
        (ConnectionRefusedError(111, "Connection refused"), "[Errno 111] Connection refused"),
        (StoreUnavailable("no answer in time"), "no answer in time"),
    ],
    ids=repr,
)
def test_the_message_of_an_error_is_shown_where_its_class_vouches_for_it(
    logged: Logged, error: Exception, shown: str
) -> None:
    """A `KeyError` repeats what the customer wrote; an operating system's error never saw it."""

    def fail() -> None:
        raise error

    def act() -> None:
        try:
            fail()
        except Exception:
            logging.getLogger("sidecar.observer").exception("observer.crashed")

    [line] = logged(act)

    assert json.loads(line)["exception"][0]["message"] == shown
    assert b"Dear customer" not in line


def test_asyncio_shows_no_argument_of_a_callback(logged: Logged) -> None:
    """Its messages hold the bytes a protocol was given."""
    [line] = logged(
        lambda: logging.getLogger("asyncio").error(
            "Exception in callback P.data_received(b'Dear customer')\nh"
        )
    )

    assert json.loads(line)["message"] == "Exception in callback P.data_received"


def test_the_cause_of_an_error_is_logged_with_it(logged: Logged) -> None:
    """A chained error shows both ends."""

    def fail() -> None:
        try:
            os.environ.pop("inner-is-not-set")
        except KeyError as error:
            raise RuntimeError("outer") from error

    def act() -> None:
        try:
            fail()
        except RuntimeError:
            structlog.get_logger().exception("api.failed")

    [line] = logged(act)

    chain = json.loads(line)["exception"]
    assert [error["type"] for error in chain] == ["RuntimeError", "KeyError"]
    assert chain[0]["frames"]


def test_libraries_log_warnings_only_scrubbed_and_cut(logged: Logged) -> None:
    """What a library says passes the same renderer, without numbers, ids and tokens."""

    def act() -> None:
        log = logging.getLogger("aiohttp.client")
        log.info("nobody needs this")
        log.warning("connection to https://user:pw@host for +5511987654321 Bearer %s %s", SECRET, "z" * 1000)

    [line] = logged(act)

    event = json.loads(line)
    assert event["event"] == "library.logged"
    assert event["logger"] == "aiohttp.client"
    assert len(event["message"]) <= 400
    for forbidden in (SECRET, "5511987654321", "user:pw"):
        assert forbidden not in line.decode()


def test_our_own_modules_keep_event_names_fields_and_counters(logged: Logged) -> None:
    """A line written through the standard library counts like an emitted event."""
    before = telemetry.counts().get("task.crashed", 0)

    [line] = logged(lambda: logging.getLogger("sidecar.tasks").error("task.crashed", extra={"task": "tail"}))

    event = json.loads(line)
    assert event["event"] == "task.crashed"
    assert event["task"] == "tail"
    assert event["level"] == "error"
    assert telemetry.counts()["task.crashed"] == before + 1


def test_a_request_that_is_no_http_costs_one_line_without_traceback(logged: Logged) -> None:
    """The web library would log a traceback for every scanner on the port."""
    from aiohttp.http_exceptions import BadStatusLine  # noqa: PLC0415 - used here only

    def act() -> None:
        error = BadStatusLine("rubbish")
        logging.getLogger("aiohttp.server").error("Error handling request", exc_info=error)

    [line] = logged(act)

    assert "exception" not in json.loads(line)


def test_values_json_cannot_hold_never_reach_the_caller(logged: Logged) -> None:
    """A lone surrogate or an odd object makes an uglier line, not an exception."""

    def act() -> None:
        structlog.get_logger().info("sidecar.started", name="\ud800", odd=object(), big=1 << 80)
        logging.getLogger("broken").warning("%d", "no number")

    first, second = logged(act)

    assert "sidecar.started" in json.loads(first)["event"]
    assert "unreadable record" in json.loads(second)["message"]


@pytest.mark.parametrize(
    "text",
    [
        "5511987654321@s.whatsapp.net",
        "120363041234567890@g.us",
        "wamid.HBgNNTUxMTk4NzY1NDMyMRUCABEYEjdG",
        "+49 then 4915112345678",
        "Authorization: Bearer abcdef",
        "apikey=abcdef",
        "postgresql://user:password@db/sidecar",
    ],
)
def test_scrub_removes_what_looks_personal_or_secret(text: str) -> None:
    """Each form a phone number, chat id or secret takes in library messages is blanked."""
    scrubbed = scrub(text)

    assert "[removed]" in scrubbed
    for leaked in ("5511987654321", "120363041234567890", "HBgN", "4915112345678", "abcdef", "password"):
        assert leaked not in scrubbed
