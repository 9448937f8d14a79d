"""docs/telemetry.md says what the code does."""

import re

from domain.exchange import TraceContext, Unknown
from exporters.announced import Evaluation
from exporters.log import LogSink
from tests.builders import exchange, recorded_signal
from tests.telemetry_docs import PAGE, printed


def test_the_tables_are_those_of_the_code() -> None:
    """Run `python -m tests.telemetry_docs` after changing a metric or an event."""
    page = PAGE.read_text("utf-8")

    assert page == printed(page)


def test_every_key_of_a_signal_line_is_documented() -> None:
    """A key that appears in the log stands in the table of keys."""
    page = PAGE.read_text("utf-8")
    written: list[bytes] = []

    class Out:
        def write(self, data: bytes, lines: int = 1) -> None:
            assert lines == 1
            written.append(data)

    full = recorded_signal(
        1, 1, message_id="M", remote_jid="r", latency_ms=1, context={"event": "x"}
    )._replace(trace_id="ab" * 16)
    LogSink(Out()).signals([full])

    keys = set(re.findall(rb'"([a-z_]+)":', written[0])) - {b"event"}
    assert keys
    for key in keys:
        assert f"`{key.decode()}`" in page


def test_every_line_about_an_exchange_is_documented() -> None:
    """Event names and keys of failed exchanges and of schema drift."""
    page = PAGE.read_text("utf-8")
    written: list[bytes] = []

    class Out:
        def write(self, data: bytes, lines: int = 1) -> None:
            assert lines == 2
            written.append(data)

    trace = TraceContext("ab" * 16, "cd" * 8, 1)
    failed = exchange()._replace(error="TIMEOUT", trace=trace, unknown=(Unknown("event", "x"),))
    LogSink(Out()).exchanges([failed])

    keys = set(re.findall(rb'"([a-z_]+)":', written[0])) - {b"event"}
    assert {b"trace_id", b"span_id", b"trace_flags", b"kind"} < keys
    for word in keys | set(re.findall(rb'"event":"([a-z._]+)"', written[0])):
        assert f"`{word.decode()}`" in page, word


def test_every_field_of_a_decision_is_documented() -> None:
    """What is announced of a decision stands on the page."""
    page = PAGE.read_text("utf-8")

    for field in Evaluation._fields:
        assert f"`{'decision_id' if field == 'id' else field}`" in page or field == "evaluated_at", field
