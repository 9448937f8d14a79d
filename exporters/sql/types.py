"""How values lie in the two databases, so that no other file needs to know.

Times are integer milliseconds everywhere in the program. PostgreSQL holds them as `timestamp(3)` without zone
in UTC (the reference ORM's type), SQLite as integers: those sort and compare exactly and cost nothing.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import JSON, BigInteger, Dialect
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP
from sqlalchemy.types import TypeDecorator, TypeEngine

from domain.words import Millis

_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - the column has no zone; the session's is UTC
_MILLISECOND: Final = timedelta(milliseconds=1)
_FIRST: Final = -62_135_596_800_000
_LAST: Final = 253_402_300_799_999

LATENCY_MAX: Final = 2**31 - 1
"""The most that the reference's `latencyMs` (32 bits) can hold, 24.8 days; a longer one is stored as this."""


def to_timestamp(at: Millis) -> datetime:
    """Give a time as PostgreSQL's driver takes it: naive, UTC. Outside the years 1 to 9999: their end."""
    return _EPOCH + _MILLISECOND * min(max(at, _FIRST), _LAST)


def from_timestamp(at: datetime) -> Millis:
    """Give a stored timestamp as milliseconds since the epoch."""
    return (at - _EPOCH) // _MILLISECOND


class EpochMillis(TypeDecorator[Millis]):
    """A time: `timestamp(3)` on PostgreSQL, integer milliseconds on SQLite."""

    impl = BigInteger
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Give the column type of this database."""
        if dialect.name == "postgresql":
            return dialect.type_descriptor(TIMESTAMP(precision=3, timezone=False))
        return dialect.type_descriptor(BigInteger())

    def bind_processor(self, dialect: Dialect) -> Callable[[Millis | None], Any] | None:
        """Convert on the way in; nothing to do on SQLite."""
        if dialect.name != "postgresql":
            return None
        return lambda at: None if at is None else to_timestamp(at)

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Millis | None] | None:
        """Convert on the way out; nothing to do on SQLite."""
        del coltype
        if dialect.name != "postgresql":
            return None
        return lambda at: None if at is None else from_timestamp(at)


Json: Final = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
"""JSON as `jsonb` on PostgreSQL and as text on SQLite."""
