"""Times and numbers of the vectors' JSON."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.vectors.wire import TIME_MAX, iso, js_date, millis, normal, truthy

NOON = 1_768_564_800_000


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-01-16T12:00:00.000Z", NOON),
        ("2026-01-16T12:00:00Z", NOON),
        ("2026-01-16T12:00Z", NOON),
        ("2026-01-16T12:00:00.5Z", NOON + 500),
        ("2026-01-16T12:00:00.9999999Z", NOON + 999),
        ("2026-01-16T09:00:00.000-03:00", NOON),
        ("2026-01-16T17:30:00+0530", NOON),
        ("2026-01-16 12:00:00Z", NOON),
        ("2026-01-16T12:00:00", NOON),
        ("2026-01-16", NOON - 43_200_000),
        ("2026-01-15T24:00:00Z", NOON - 43_200_000),
        ("1969-12-31T23:59:59.999Z", -1),
        ("2024-02-29T00:00:00Z", 1_709_164_800_000),
        ("0001-01-01T00:00:00Z", -62_135_596_800_000),
        ("+010000-01-01T00:00:00.000Z", 253_402_300_800_000),
        ("2026-02-30T00:00:00Z", 1_772_409_600_000),
    ],
)
def test_a_time_is_read_as_a_javascript_date_reads_it(text: str, at: int) -> None:
    """Offsets count, digits beyond milliseconds are cut off, a date alone is midnight UTC."""
    assert millis(text) == at


@pytest.mark.parametrize(
    "value",
    ["yesterday", "", "20260116", "2026-13-01", "2026-01-32", "2026-01-16T25:00Z", "2026-01-16T24:01:00Z",
     "2026-01-16T12:60Z", "2026-01-16T12", "1768564795", [], {}, TIME_MAX + 1, -TIME_MAX - 1],
)  # fmt: skip
def test_what_is_no_time_is_an_invalid_date(value: object) -> None:
    """It becomes null, never another time and never an exception."""
    assert js_date(value) is None


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (1768564795, "1970-01-21T11:16:04.795Z"),
        (1768564800000.9, "2026-01-16T12:00:00.000Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
        (1_768_564_800_000_000, "+058013-08-03T00:00:00.000Z"),
        (TIME_MAX, "+275760-09-13T00:00:00.000Z"),
        (-TIME_MAX, "-271821-04-20T00:00:00.000Z"),
        (None, "1970-01-01T00:00:00.000Z"),
    ],
)
def test_a_number_is_epoch_milliseconds_however_far_away(value: object, written: str) -> None:
    """Seconds land in 1970, microseconds behind the year 9999: no unit is guessed."""
    assert iso(js_date(value)) == written


@given(st.datetimes(min_value=datetime(1, 1, 1), max_value=datetime(9999, 12, 31)))  # noqa: DTZ001 - made UTC below
def test_written_times_agree_with_the_calendar_of_the_standard_library(moment: datetime) -> None:
    """The years 1 to 9999 are written as the standard library writes them, and read back."""
    at = (moment.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    written = f"{moment:%Y-%m-%dT%H:%M:%S}".rjust(19, "0") + f".{moment.microsecond // 1000:03}Z"

    assert iso(at) == written
    assert millis(written) == at


@given(st.integers(-TIME_MAX, TIME_MAX))
def test_every_time_survives_its_text(at: int) -> None:
    """Writing and reading give the same millisecond, as far as JavaScript's dates reach."""
    assert js_date(iso(at)) == at


def test_an_invalid_date_stays_invalid() -> None:
    """Null is how the vectors write it, and a missing zone or long fraction is brought to one form."""
    assert normal(None) is None
    assert normal("2026-01-16T13:00:00.1234+01:00") == "2026-01-16T12:00:00.123Z"


@pytest.mark.parametrize(
    ("value", "taken"), [([], True), ({}, True), ("", False), (0, False), ("0", True), (None, False)]
)
def test_truth_is_javascripts(value: object, taken: bool) -> None:
    """An empty list is true there, an empty text is not."""
    assert truthy(value) is taken
