"""What came of one request to a collector, whichever way it went."""

from typing import Final, NamedTuple, Protocol

RETRY_AFTER_MAX_SECONDS: Final = 30.0


class Answer(NamedTuple):
    """Outcome of a request.

    Attributes:
        problem: None when the collector took the request; else a short name of what went wrong.
        retry: trying again may help (OTLP specification, "Retryable").
        retry_after_seconds: what the collector asked for, at most 30.
        rejected: records it refused from a request it took.
    """

    problem: str | None = None
    retry: bool = False
    retry_after_seconds: float | None = None
    rejected: int = 0


class Transport(Protocol):
    """Sends requests, one at a time. Only `abort` may be called from another thread."""

    def send(self, payload: bytes, timeout_seconds: float) -> Answer:
        """Send an encoded export request; never raises."""
        ...

    def abort(self) -> None:
        """Break off a request that is under way, and close."""
        ...


def rejected_records(response: bytes) -> int:
    """Read how many records an Export...ServiceResponse says were rejected; 0 if it is unreadable.

    It is `partial_success.rejected_...`: field 1 of field 1, for logs and traces alike.
    """
    try:
        partial = _fields(response).get(1)
        rejected = _fields(partial).get(1) if isinstance(partial, bytes) else 0
    except (IndexError, ValueError):
        return 0
    return rejected if isinstance(rejected, int) else 0


def _fields(data: bytes) -> dict[int, int | bytes]:
    """Read a message of varint and length-delimited fields; the last of equal fields wins."""
    fields: dict[int, int | bytes] = {}
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        value, at = _varint(data, at)
        if key & 7 == 2:
            fields[key >> 3] = data[at : at + value]
            at += value
        elif key & 7 == 0:
            fields[key >> 3] = value
        else:
            raise ValueError("a wire type that no response has")
    return fields


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("a varint of more than ten bytes")
