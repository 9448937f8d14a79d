"""The sidecar's own events: each is a class; emitting one writes its log line and moves its counter.

Signals, decisions, failed exchanges and schema drift are not among them: the recorder announces those
from the journal (`exporters.log`). Lines that our modules write through the standard library's `logging` with
a name of the catalogue count just the same (`sidecar.logs`).

Counts are kept a process; a worker's reach the recorder over its page, the supervisor's over their line.
"""

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import ClassVar, Final

import structlog

INFO: Final = "info"
WARNING: Final = "warning"
ERROR: Final = "error"

_counts: Final[Counter[str]] = Counter()
_heard: Final[dict[str, int]] = {}
_lock: Final = threading.Lock()


def counts() -> dict[str, int]:
    """Give how often each event of the catalogue happened in this process, and in the one it hears of."""
    with _lock:
        return {name: _counts[name] + _heard.get(name, 0) for name in CATALOGUE}


def hear(totals: Mapping[str, int]) -> None:
    """Take all counts of the supervisor; each time, so that a restart of this process loses none."""
    with _lock:
        _heard.update(totals)


def count(name: str) -> None:
    """Count an event by name; a name that is not in the catalogue is left out."""
    if name in CATALOGUE:
        with _lock:
            _counts[name] += 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something the sidecar itself did or met. Fields become keys of the log line, units in their names."""

    NAME: ClassVar[str]
    LEVEL: ClassVar[str]

    def emit(self, error: BaseException | None = None) -> None:
        """Write the line, with the error's trace if one is given, and count."""
        count(self.NAME)
        keys = {field.name: getattr(self, field.name) for field in fields(self)}
        keys = {name: value for name, value in keys.items() if value is not None}
        logger = structlog.get_logger()
        logger.log(
            _NUMBER[self.LEVEL], self.NAME, **keys, **({"exc_info": error} if error is not None else {})
        )


_NUMBER: Final = {INFO: 20, WARNING: 30, ERROR: 40}


@dataclass(frozen=True, slots=True, kw_only=True)
class SidecarStarted(Event):
    """Every listener accepts."""

    NAME = "sidecar.started"
    LEVEL = INFO
    version: str
    workers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SidecarStopping(Event):
    """A stop was asked for; exchanges in flight finish."""

    NAME = "sidecar.stopping"
    LEVEL = INFO
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SidecarStopped(Event):
    """Everything is closed."""

    NAME = "sidecar.stopped"
    LEVEL = INFO
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessStarted(Event):
    """The supervisor started a worker or the recorder."""

    NAME = "process.started"
    LEVEL = INFO
    process: str
    pid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FilesLimited(Event):
    """The system allows a worker fewer open files than its connections need; it takes fewer connections."""

    NAME = "process.files_limited"
    LEVEL = WARNING
    open_files_max: int
    connections_max: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessDied(Event):
    """A worker or the recorder ended unasked; it is started again."""

    NAME = "process.died"
    LEVEL = WARNING
    process: str
    pid: int
    exit_code: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreRefused(Event):
    """The database did not take a batch; it is tried again, the journal holds what waits."""

    NAME = "store.refused"
    LEVEL = WARNING
    reason: str
    facts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreRecovered(Event):
    """The database takes batches again."""

    NAME = "store.recovered"
    LEVEL = INFO
    outage_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalQuarantined(Event):
    """A part of the journal could not be read; it was set aside, records behind it were recovered."""

    NAME = "journal.quarantined"
    LEVEL = ERROR
    journal: str
    reason: str
    lost: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FactsLost(Event):
    """Facts were lost; the timeline shows the gap."""

    NAME = "facts.lost"
    LEVEL = ERROR
    stage: str
    reason: str
    lost: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalSyncFailed(Event):
    """The journal could not be synced to disk; a power loss now loses more than promised."""

    NAME = "journal.sync_failed"
    LEVEL = ERROR
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalReleaseFailed(Event):
    """Letting an answer go failed after its facts were journaled."""

    NAME = "journal.release_failed"
    LEVEL = ERROR


@dataclass(frozen=True, slots=True, kw_only=True)
class ObserverCrashed(Event):
    """Observing an exchange failed; it was forwarded all the same, its facts are lost."""

    NAME = "observer.crashed"
    LEVEL = ERROR


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnouncementFailed(Event):
    """An exporter failed on a batch that is recorded."""

    NAME = "recorder.announcement_failed"
    LEVEL = ERROR
    sink: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationFailed(Event):
    """Evaluating instances failed; their facts are recorded, evaluation is tried again."""

    NAME = "recorder.evaluation_failed"
    LEVEL = ERROR


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionApplied(Event):
    """Signals older than the retention were dropped."""

    NAME = "retention.applied"
    LEVEL = INFO
    dropped: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OtlpFailing(Event):
    """The OTLP collector does not take records; said once an outage."""

    NAME = "otlp.failing"
    LEVEL = WARNING
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OtlpRecovered(Event):
    """The OTLP collector takes records again."""

    NAME = "otlp.recovered"
    LEVEL = INFO
    outage_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonalIdsForgotten(Event):
    """An operator had message and chat ids blanked; whose is not told."""

    NAME = "ids.forgotten"
    LEVEL = INFO
    instances: int
    blanked: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiFailed(Event):
    """An answer of the admin API failed for a fault of ours."""

    NAME = "api.failed"
    LEVEL = ERROR


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskCrashed(Event):
    """A background task ended by an error that nobody awaited."""

    NAME = "task.crashed"
    LEVEL = ERROR
    task: str


CATALOGUE: Final = {event.NAME: event for event in Event.__subclasses__()}
"""Every event of the sidecar, by name."""
