"""Times at the edge."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.signal import TIME_MAX
from sidecar.api import times

FIRST = datetime(1970, 1, 2)  # noqa: DTZ001 - the strategy adds the zone
LAST = datetime(9999, 12, 30)  # noqa: DTZ001 - likewise


@given(st.integers(0, TIME_MAX))
def test_a_time_survives_printing_and_reading(at: int) -> None:
    """What is printed is read back as the same millisecond, as text and as a number."""
    assert times.parse(times.iso(at)) == at
    assert times.parse(str(at)) == at


@given(st.datetimes(FIRST, LAST), st.integers(-14 * 60, 14 * 60))
def test_any_zone_is_read_and_what_is_below_a_millisecond_is_cut(naive: datetime, minutes: int) -> None:
    """A zone moves the instant; without one the text is UTC."""
    moment = naive.replace(tzinfo=UTC)
    expected = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    sign, (hours, rest) = "+-"[minutes < 0], divmod(abs(minutes), 60)
    local = (naive + timedelta(minutes=minutes)).isoformat() if naive.year < 9999 else naive.isoformat()

    assert times.parse(naive.isoformat()) == expected
    assert times.parse(moment.isoformat().replace("+00:00", "Z")) == expected
    if naive.year < 9999:
        assert times.parse(f"{local}{sign}{hours:02}:{rest:02}") == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "now",
        "-1",
        "1e12",
        "253402300800000",
        "9" * 39,
        "1" * 41,
        "2026-13-01",
        "1969-12-31T23:59:59Z",
        "٣",
    ],
)
def test_anything_else_is_refused_with_one_error(text: str) -> None:
    """Only ValueError leaves."""
    with pytest.raises(ValueError, match=r".*"):
        times.parse(text)
