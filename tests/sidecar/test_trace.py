"""Reading an incoming trace context."""

import pytest

from domain.exchange import TraceContext
from sidecar.trace import trace_context

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.mark.parametrize("version", ["00", "01", "cc"])
def test_a_valid_header_gives_its_ids(version: str) -> None:
    """Known and future versions are read alike (W3C Trace Context section 3.2)."""
    assert trace_context(f"{version}-{TRACE}-{SPAN}-03".encode()) == TraceContext(TRACE, SPAN, 3)


def test_a_future_version_may_carry_more() -> None:
    """Only version 00 ends behind the flags."""
    assert trace_context(f"01-{TRACE}-{SPAN}-01-what-comes".encode()) == TraceContext(TRACE, SPAN, 1)


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"rubbish",
        f"ff-{TRACE}-{SPAN}-01".encode(),
        f"00-{TRACE}-{SPAN}-01-more".encode(),
        f"00-{'0' * 32}-{SPAN}-01".encode(),
        f"00-{TRACE}-{'0' * 16}-01".encode(),
        f"00-{TRACE.upper()}-{SPAN}-01".encode(),
        f"00-{TRACE[:-1]}-{SPAN}-01".encode(),
        f"00-{TRACE}-{SPAN}-01\n".encode(),
    ],
)
def test_an_invalid_header_gives_nothing(value: bytes | None) -> None:
    """A broken header is ignored, never repaired."""
    assert trace_context(value) is None
