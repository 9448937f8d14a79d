"""Reading a collector's answer: partial success, and whatever else may come."""

from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsPartialSuccess,
    ExportLogsServiceResponse,
)

from exporters.otel.transport import Kind


@given(st.integers(0, (1 << 63) - 1), st.text(max_size=300))
def test_the_number_of_rejected_records_is_read(rejected: int, message: str) -> None:
    """With or without a message beside it."""
    partial = ExportLogsPartialSuccess(rejected_log_records=rejected, error_message=message)
    response = ExportLogsServiceResponse(partial_success=partial)

    assert Kind.LOGS.rejected_in(response.SerializeToString()) == rejected


@given(st.binary(max_size=200))
def test_any_answer_is_readable(response: bytes) -> None:
    """Rubbish means nothing was rejected; never an exception."""
    assert Kind.TRACES.rejected_in(response) >= 0


def test_an_empty_answer_rejects_nothing() -> None:
    """What most collectors send."""
    assert Kind.LOGS.rejected_in(b"") == 0
