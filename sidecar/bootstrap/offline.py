"""What commands use when no sidecar runs: the store opened for reading, or as the one writer."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from domain.fold_state import Setting, setting_named, setting_of
from domain.health_ports import DecisionQuery, HealthSource
from domain.read_health import ReadInstanceHealth
from domain.recorded import Progress
from domain.redaction import Redactor, RemoteJidMode
from domain.replay import ReplayDecisions, Replayed
from domain.timeline import GetReputationTimeline, PageKey, TimelineQuery
from domain.words import Millis
from exporters.otel.settings import read_settings
from exporters.sql.read_only import ReadOnlyStore, StoreReport
from exporters.sql.store import SqlStore
from sidecar.api.health import DecisionDetail, DifferenceAnswer
from sidecar.api.health_answers import DecisionAnswer, ReputationAnswer, decision_answer, reputation_answer
from sidecar.api.instances import InstanceAnswer
from sidecar.api.signals import SignalAnswer, gap_answer, signal_answer
from sidecar.api.timeline import TimelineAnswer
from sidecar.api.times import iso
from sidecar.cli.answers import TimelineAsked
from sidecar.cli.errors import UNREACHABLE, CommandFailed
from sidecar.clock import now_ms
from sidecar.config import environment
from sidecar.configured import Configured, setting_for, told_configurations
from sidecar.data_dir import DataDir
from sidecar.settings import Settings

INSTANCES_PAGE: Final = 1000
DECISIONS_PAGE: Final = 500
LOCK_WAIT_MS: Final = 1000


def kept_setting(settings: Settings) -> Setting:
    """Give what the directory's last recorder folded with; where none told, what the settings say."""
    told = told_configurations(Path(settings.data_dir))
    here = setting_for(settings)
    if not told or told[-1].rule_set != here.rule_set:
        return here
    return setting_of(told[-1].window_ms, latency_rules=told[-1].latency_rules)


def kept_configurations(settings: Settings) -> list[Configured]:
    """Give what the directory's recorders ran with; none where they never recorded into this store.

    Raises:
        StoreUnavailable: the store does not answer.
    """
    data_dir = Path(settings.data_dir)
    return told_configurations(data_dir) if stored_progress(settings, data_dir) else []


def setting_of_instance(store: HealthSource, instance_id: str, otherwise: Setting) -> Setting:
    """Give what an instance was last folded with; a shell's settings are not those of its sidecar."""
    with store.reading() as reading:
        saved = reading.saved([instance_id]).get(instance_id)
    found = None if saved is None else setting_named(saved.setting)
    return otherwise if found is None else found


def database_url(settings: Settings) -> str:
    """Give the store's URL; makes nothing."""
    embedded = Path(settings.data_dir).absolute() / "reputation.sqlite"
    return settings.database_url or f"sqlite:///{embedded}"


def redactor_for(settings: Settings) -> Redactor:
    """Give the sidecar's redactor, with the key of the data directory unless the settings give one."""
    key = DataDir(settings.data_dir).pseudonym_key(settings.pseudonym_key)
    return Redactor(RemoteJidMode(settings.remote_jid), key)


def open_reader(settings: Settings) -> ReadOnlyStore:
    """Open the store for reading, beside whoever writes it.

    Raises:
        StoreUnavailable: it is not there, of another version, or does not answer.
    """
    store = ReadOnlyStore(database_url(settings))
    try:
        store.open()
    except BaseException:
        store.close()
        raise
    return store


def open_store(settings: Settings) -> tuple[SqlStore, list[str]]:
    """Open the store as its writer: locked on SQLite, migrated; give the schema revisions applied.

    Raises:
        StoreUnavailable: another process holds it, or it does not answer.
    """
    data = DataDir(settings.data_dir)
    url = settings.database_url or data.database_url
    store = SqlStore(url, sidecar_id=data.sidecar_id(), lock_wait_ms=LOCK_WAIT_MS)
    try:
        return store, store.open()
    except BaseException:
        store.close()
        raise


def open_answers(settings: Settings) -> "OfflineAnswers":
    """Open the store to answer questions."""
    return OfflineAnswers(open_reader(settings), settings)


class OfflineAnswers:
    """Implements `sidecar.cli.answers.Answers` over the store, with the API's own use cases."""

    def __init__(self, store: ReadOnlyStore, settings: Settings) -> None:
        self.where = "the store"
        self._store = store
        self._settings = settings
        self._setting = kept_setting(settings)
        self._health = ReadInstanceHealth(store, self._setting)
        self._replay = ReplayDecisions(store, self._setting)
        self._timeline = GetReputationTimeline(store)

    def instances(self) -> Iterator[InstanceAnswer]:
        """Give every instance in order of its id."""
        after: str | None = None
        while page := self._store.instances(after, INSTANCES_PAGE):
            for one in page:
                times = {
                    name: None if at is None else iso(at)
                    for name, at in (
                        ("last_signal_at", one.last_signal_at),
                        ("last_evaluated_at", one.last_evaluated_at),
                    )
                }
                yield InstanceAnswer(**{**one._asdict(), **times})
            after = page[-1].instance_id

    def timeline(self, asked: TimelineAsked, cursor: str | None, limit: int) -> TimelineAnswer:
        """Give one page."""
        message_id = asked.message_id
        if message_id is not None:
            message_id = redactor_for(self._settings).message_id(message_id)
        page = self._timeline(
            TimelineQuery(
                asked.instance_id,
                asked.since,
                asked.until,
                asked.types,
                asked.severities,
                asked.sources,
                message_id,
                asked.descending,
                limit,
                None if cursor is None else PageKey(*map(int, cursor.split(":"))),
            )
        )
        key = page.next_key
        return TimelineAnswer(
            instance_id=asked.instance_id,
            since=iso(asked.since),
            until=iso(asked.until),
            signals=[signal_answer(row) for row in page.signals],
            gaps=[gap_answer(gap) for gap in page.gaps],
            next_cursor=None if key is None else f"{key.occurred_at}:{key.seq}",
        )

    def follow(self, instance_id: str) -> Iterator[SignalAnswer]:
        """Refuse: nothing happens without a sidecar."""
        raise CommandFailed(
            f"--follow of {instance_id} needs a running sidecar, and none answers; start it, or name its "
            "admin API with --url",
            UNREACHABLE,
        )

    def reputation(self, instance_id: str, at: Millis | None) -> ReputationAnswer:
        """Tell how an instance stands, or stood."""
        now = now_ms()
        health = ReadInstanceHealth(self._store, setting_of_instance(self._store, instance_id, self._setting))
        return reputation_answer(*health.reputation(instance_id, now if at is None else min(at, now)))

    def decisions(self, instance_id: str, since: Millis, until: Millis) -> Iterator[DecisionAnswer]:
        """Give decisions, newest first."""
        query = DecisionQuery(instance_id, since, until, DECISIONS_PAGE)
        while True:
            page = self._health.decisions(query)
            yield from map(decision_answer, page.decisions)
            if page.next_key is None:
                return
            query = query._replace(after=page.next_key)

    def replayed(self, instance_id: str, since: Millis, until: Millis) -> Iterator[DecisionDetail]:
        """Give decisions recomputed, newest first."""
        return map(detail_of, self._replay.instance(instance_id, since, until))

    def close(self) -> None:
        """Close the store."""
        self._store.close()


def detail_of(replayed: Replayed) -> DecisionDetail:
    """Give a replayed decision in the form of the API."""
    told = msgspec.structs.asdict(decision_answer(replayed.decision))
    if replayed.past:
        return DecisionDetail(**told)
    return DecisionDetail(
        **told,
        reproduced=replayed.reproduced,
        differences=[
            DifferenceAnswer(path=one.path, stored=one.stored, recomputed=one.recomputed)
            for one in replayed.differences
        ],
    )


def store_report(settings: Settings) -> StoreReport:
    """Say what the store holds, whatever its revision."""
    store = ReadOnlyStore(database_url(settings))
    try:
        return store.report()
    finally:
        store.close()


def stored_progress(settings: Settings, data_dir: Path) -> dict[str, Progress] | None:
    """Give how far each journal folder was recorded; None where this directory never had a sidecar."""
    try:
        sidecar_id = (data_dir / "sidecar-id").read_text("ascii").strip()
    except FileNotFoundError:
        return None
    store = ReadOnlyStore(database_url(settings), sidecar_id=sidecar_id)
    try:
        store.open()
        return store.progress()
    finally:
        store.close()


def otlp_urls() -> list[str]:
    """Give where OTLP goes, nothing where it is off.

    Raises:
        ValueError: an OTEL_* variable cannot be honoured.
    """
    found = read_settings(environment())
    if found is None:
        return []
    return sorted({target.url for target in (found.logs, found.traces) if target is not None})
