"""Errors of the domain, by whose fault it is.

DomainError
├── SignalRejected      the fact itself cannot be recorded; counted by `reason`
├── InvalidQuery        the caller asked for something that makes no sense; `field` names it
├── UnknownInstance     no signal of this instance was ever recorded
├── PastRetention       the time asked for lies before the retention horizon
└── StoreUnavailable    the database did not answer in time; safe to try again
"""


class DomainError(Exception):
    """Root of the tree; never raised itself."""


class SignalRejected(DomainError):  # noqa: N818 - the word of the glossary; it is a fact's fate, not a fault
    """A fact that cannot be recorded. `reason` is one of a closed, countable set."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class InvalidQuery(DomainError):  # noqa: N818 - reads better where it is raised
    """A question that cannot be answered: which field, and what it must be."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class UnknownInstance(DomainError):  # noqa: N818 - reads better where it is raised
    """No signal of this instance was ever recorded."""


class PastRetention(DomainError):  # noqa: N818 - reads better where it is raised
    """The time asked for lies before the retention horizon; nothing reliable can be said."""


class StoreUnavailable(DomainError):  # noqa: N818 - reads better where it is raised
    """The database did not answer in time; safe to try again."""
