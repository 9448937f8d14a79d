"""Reads an incoming `traceparent` (W3C Trace Context level 2, section 3.2); never writes one."""

import re
from typing import Final

from domain.exchange import TraceContext

_TRACEPARENT: Final = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_ZERO_TRACE: Final = b"0" * 32
_ZERO_SPAN: Final = b"0" * 16


def trace_context(value: bytes | None) -> TraceContext | None:
    """Give the ids of a valid header, None otherwise.

    Version ff and all-zero ids are invalid; a future version may carry more behind the flags, version 00 not.
    """
    if value is None:
        return None
    match = _TRACEPARENT.fullmatch(value)
    if match is None:
        return None
    version, trace_id, span_id, flags, more = match.groups()
    if version == b"ff" or trace_id == _ZERO_TRACE or span_id == _ZERO_SPAN or (version == b"00" and more):
        return None
    return TraceContext(trace_id.decode(), span_id.decode(), int(flags, 16))
