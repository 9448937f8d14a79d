"""Provider times in milliseconds since the epoch."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.providers.times import from_millis, from_rfc3339, from_seconds


@pytest.mark.parametrize(
    ("text", "millis"),
    [
        ("1970-01-01T00:00:00.001Z", 1),
        ("1970-01-01T00:00:00Z", None),
        ("2026-01-15T15:00:05Z", 1_768_489_205_000),
        ("2026-01-15t15:00:05z", 1_768_489_205_000),
        ("2026-01-15 15:00:05Z", 1_768_489_205_000),
        ("2026-01-15T12:00:05.120934-03:00", 1_768_489_205_120),
        ("2026-01-15T12:00:05.120999999-03:00", 1_768_489_205_120),
        ("2026-01-15T12:00:05.1-03:00", 1_768_489_205_100),
        ("1969-12-31T23:59:59.999Z", None),
        ("0001-01-01T00:00:00Z", None),
        ("2026-01-15T12:00:05", None),
        ("2026-01-15", None),
        ("2026-W03-4T12:00:00Z", None),
        ("2026-13-15T12:00:05Z", None),
        ("2026-01-15T12:00:60Z", None),
        ("0001-01-01T00:00:00+23:59", None),
        ("2026-01-15T12:00:05.1209345678901-03:00", None),
        ("", None),
        (None, None),
    ],
)
def test_rfc3339_is_cut_to_milliseconds(text: str | None, millis: int | None) -> None:
    """Up to nine fractional digits and an offset; without one it is no instant, year 1 is no time."""
    assert from_rfc3339(text) == millis


@given(st.integers(1, 253_402_300_799_999))
def test_every_millisecond_survives_its_text(millis: int) -> None:
    """Integer arithmetic: no millisecond is lost to a float."""
    from datetime import UTC, datetime, timedelta  # noqa: PLC0415 - used here only

    text = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=millis)).isoformat()

    assert from_rfc3339(text) == millis


@pytest.mark.parametrize(
    ("value", "as_seconds", "as_millis"),
    [
        (1768489205, 1_768_489_205_000, 1_768_489_205),
        ("1768489205", 1_768_489_205_000, 1_768_489_205),
        (1768489205.12, 1_768_489_205_120, 1_768_489_205),
        (0, None, None),
        (-1, None, None),
        ("-1", None, None),
        ("1768489205.5", None, None),
        ("12345678901234567", None, None),
        ("٣", None, None),
        ("", None, None),
        (None, None, None),
        (float("nan"), None, None),
        (float("inf"), None, None),
        (10**400, None, None),
    ],
)
def test_the_unit_is_the_fields_never_guessed(
    value: float | str | None, as_seconds: int | None, as_millis: int | None
) -> None:
    """The same number means what its field says."""
    assert from_seconds(value) == as_seconds
    assert from_millis(value) == as_millis
