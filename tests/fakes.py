"""Fakes of the outermost ports: a store in memory that keeps its promises, transactions included."""

from bisect import insort
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy

from domain.connection import shown
from domain.errors import StoreUnavailable
from domain.forget import REFERENCE_PREFIX, ForgottenPage, References, RowKey
from domain.health_ports import (
    Checkpoint,
    DecisionKey,
    DecisionPage,
    DecisionQuery,
    DecisionRow,
    Fact,
    OperatorAction,
    SavedState,
    Span,
)
from domain.recorded import Gap, InstanceHead, InstanceSummary, Progress, RecordedSignal
from domain.snapshot import Snapshot, count
from domain.timeline import PageKey, TimelinePage, TimelineQuery
from domain.words import Lifecycle, Millis, RiskLevel, SignalType, TemperatureLevel, Trend


class Tables:
    """Everything that is stored."""

    def __init__(self) -> None:
        self.signals: dict[str, dict[str, RecordedSignal]] = {}
        self.by_date: dict[str, list[tuple[Millis, int, str]]] = {}
        self.by_seq: dict[str, list[str]] = {}
        self.by_message: dict[tuple[str, str], list[str]] = {}
        self.heads: dict[str, InstanceHead] = {}
        self.progress: dict[str, Progress] = {}
        self.gaps: dict[str, Gap] = {}
        self.states: dict[str, SavedState] = {}
        self.checkpoints: dict[tuple[str, Millis, bool], Checkpoint] = {}
        self.actions: dict[str, list[OperatorAction]] = {}
        self.decisions: dict[str, list[DecisionRow]] = {}

    def copy(self) -> "Tables":
        """Copy far enough that changes to either do not show in the other."""
        other = Tables()
        for name, table in vars(self).items():
            copied = copy(table)
            for key, value in copied.items():
                if isinstance(value, dict | list):
                    copied[key] = copy(value)
            setattr(other, name, copied)
        return other


class InMemoryStore:
    """Implements `SignalStore` and `EvaluationStore`; one transaction at a time.

    `queries` counts calls that a database would answer with a statement. `fail_at_commit` breaks evaluations.
    """

    def __init__(self) -> None:
        self._tables = Tables()
        self._used = False
        self.queries = 0
        self.fail_at_commit = False

    @contextmanager
    def _transaction(self) -> Iterator["Transaction"]:
        assert not self._used, "transactions do not nest"
        self._used = True
        before = self._tables.copy()
        try:
            yield Transaction(self._tables, self)
        except BaseException:
            self._tables = before
            raise
        finally:
            self._used = False

    @contextmanager
    def recording(self) -> Iterator["Transaction"]:
        """Open the write transaction of a batch."""
        with self._transaction() as transaction:
            yield transaction

    @contextmanager
    def evaluating(self, instance_ids: Sequence[str]) -> Iterator["Transaction"]:
        """Open the write transaction of an evaluation."""
        assert list(instance_ids) == sorted(set(instance_ids)), "instances are locked in ascending order"
        with self._transaction() as transaction:
            yield transaction
            if self.fail_at_commit:
                raise StoreUnavailable("the connection broke at commit")

    @contextmanager
    def reading(self) -> Iterator["Transaction"]:
        """Open a view; what is written to it is lost."""
        yield Transaction(self._tables.copy(), self)

    def progress(self) -> dict[str, Progress]:
        """Give stored positions."""
        return dict(self._tables.progress)

    def timeline(self, query: TimelineQuery) -> TimelinePage:
        """Read one page."""
        rows = [
            row
            for row in map(_shown, self._tables.signals.get(query.instance_id, {}).values())
            if query.since <= row.occurred_at <= query.until
            and (not query.types or row.type in query.types)
            and (not query.severities or row.severity in query.severities)
            and (not query.sources or row.source in query.sources)
            and (query.message_id is None or row.message_id == query.message_id)
        ]
        rows.sort(key=_page_key, reverse=query.descending)
        if query.after is not None:
            bound = query.after
            rows = [r for r in rows if (_page_key(r) < bound if query.descending else _page_key(r) > bound)]
        page = rows[: query.limit]
        return TimelinePage(page, _page_key(page[-1]) if len(rows) > len(page) else None)

    def gaps(self, since: Millis, until: Millis, instance_id: str | None = None) -> list[Gap]:
        """Give the gaps that overlap a range."""
        gaps = [
            gap
            for gap in self._tables.gaps.values()
            if gap.since <= until and gap.until >= since and gap.instance_id in (None, instance_id)
        ]
        return sorted(gaps, key=lambda gap: (gap.since, gap.key))

    def instances(self, after: str | None, limit: int) -> list[InstanceSummary]:
        """Give instances in order of their id."""
        ids = sorted(i for i, head in self._tables.heads.items() if head.last_seq and (after or "") < i)
        return [self._summary(instance_id) for instance_id in ids[:limit]]

    def drop_before(self, horizon: Millis, limit: int) -> int:
        """Delete old signals."""
        tables = self._tables
        old = sorted(
            (row.occurred_at, row.instance_id, row.id)
            for rows in tables.signals.values()
            for row in rows.values()
            if row.occurred_at < horizon
        )[:limit]
        for _, instance_id, signal_id in old:
            row = tables.signals[instance_id].pop(signal_id)
            tables.by_date[instance_id].remove((row.occurred_at, row.seq, row.id))
            tables.by_seq[instance_id].remove(row.id)
            if row.message_id:
                tables.by_message[instance_id, row.message_id].remove(row.id)
        return len(old)

    def give_back(self) -> bool:
        """There is nothing to give back."""
        return False

    def forget(
        self,
        instance_id: str,
        remote_jids: Collection[str],
        references: References,
        after: RowKey | None,
        limit: int,
    ) -> ForgottenPage:
        """Blank ids; a reference stands where the message id stood, `timeline` does not show it."""
        rows = self._tables.signals.get(instance_id, {})
        behind = sorted((r.seq, r.id) for r in rows.values() if after is None or (r.seq, r.id) > after)[
            :limit
        ]
        page = [rows[signal_id] for _, signal_id in behind]
        meant = [
            row
            for row in page
            if (row.remote_jid in remote_jids if remote_jids else _shown(row).message_id or row.remote_jid)
        ]
        blanked = {row.id for row in meant}
        for message_id in {row.message_id for row in meant if _shown(row).message_id}:
            assert message_id is not None
            ids = self._tables.by_message.pop((instance_id, message_id))
            reference = references(instance_id, message_id)
            self._tables.by_message[instance_id, reference] = ids
            rows.update({i: rows[i]._replace(message_id=reference, remote_jid=None) for i in ids})
            blanked |= set(ids)
        rows.update({row.id: rows[row.id]._replace(remote_jid=None) for row in meant})
        last = behind[-1] if len(behind) == limit else None
        return ForgottenPage(len(page), len(blanked), RowKey(*last) if last else None)

    def scrub(self) -> bool:
        """Nothing is left behind in memory."""
        return True

    def due(self, now: Millis, limit: int) -> list[str]:
        """Give instances with a step due."""
        self.queries += 1
        due = [
            (s.due_at, i) for i, s in self._tables.states.items() if s.due_at is not None and s.due_at <= now
        ]
        return [instance_id for _, instance_id in sorted(due)[:limit]]

    def unevaluated(self, limit: int) -> list[str]:
        """Give instances whose evaluation is behind."""
        self.queries += 1
        states = self._tables.states
        behind = [
            instance_id
            for instance_id, head in self._tables.heads.items()
            if head.last_seq > (states[instance_id].seq if instance_id in states else 0)
        ]
        return sorted(behind)[:limit]

    def _summary(self, instance_id: str) -> InstanceSummary:
        head = self._tables.heads[instance_id]
        state = self._tables.states.get(instance_id)
        seen = (
            (50, TemperatureLevel.COLD, Trend.STABLE, RiskLevel.LOW, Lifecycle.CREATED)
            if state is None
            else state.preview[:5]
        )
        return InstanceSummary(
            instance_id,
            head.provider,
            *seen,
            shown(head.connection, seen[4]),
            None if state is None else state.preview.cooldown_reason,
            head.last_signal_at,
            None if state is None else state.preview.last_evaluated_at,
        )


class Transaction:
    """Implements `Recording`, `HealthReading` and `Evaluating` over tables."""

    def __init__(self, tables: Tables, store: InMemoryStore) -> None:
        self._tables = tables
        self._store = store

    # Recording

    def resolve(self, aliases: Sequence[str]) -> dict[str, str]:
        """Give the instance behind each known alias."""
        return {
            alias: head.instance_id
            for head in self._tables.heads.values()
            for alias in head.aliases
            if alias in aliases
        }

    def lock(self, instance_ids: Sequence[str]) -> dict[str, InstanceHead]:
        """Give heads."""
        return {i: self._tables.heads.get(i, InstanceHead(i)) for i in instance_ids}

    def known(self, keys: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
        """Give stored keys."""
        return {key for key in keys if key[1] in self._tables.signals.get(key[0], {})}

    def first_sent(self, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Millis]:
        """Give the earliest send of each message."""
        found: dict[tuple[str, str], Millis] = {}
        for key in keys:
            sent = [
                row.occurred_at
                for signal_id in self._tables.by_message.get(key, ())
                if (row := self._tables.signals[key[0]][signal_id]).type is SignalType.MESSAGE_SENT
            ]
            if sent:
                found[key] = min(sent)
        return found

    def append(self, signals: Sequence[RecordedSignal]) -> list[RecordedSignal]:
        """Insert new signals; nothing is refused here."""
        tables = self._tables
        for row in signals:
            rows = tables.signals.setdefault(row.instance_id, {})
            assert row.id not in rows, "only unknown signals are appended"
            rows[row.id] = row
            insort(tables.by_date.setdefault(row.instance_id, []), (row.occurred_at, row.seq, row.id))
            tables.by_seq.setdefault(row.instance_id, []).append(row.id)
            if row.message_id:
                tables.by_message.setdefault((row.instance_id, row.message_id), []).append(row.id)
        return []

    def save_heads(self, heads: Sequence[InstanceHead]) -> None:
        """Store heads."""
        self._tables.heads.update({head.instance_id: head for head in heads})

    def advance(self, progress: Sequence[Progress], gaps: Sequence[Gap]) -> None:
        """Store positions and gaps."""
        self._tables.progress.update({row.journal: row for row in progress})
        for gap in gaps:
            self._tables.gaps.setdefault(gap.key, gap)

    # HealthReading

    def saved(self, instance_ids: Sequence[str]) -> dict[str, SavedState]:
        """Give saved states."""
        self._store.queries += 1
        return {i: self._tables.states[i] for i in instance_ids if i in self._tables.states}

    def last_seqs(self, instance_ids: Sequence[str]) -> dict[str, int]:
        """Give the newest arrival of each instance."""
        self._store.queries += 1
        heads = self._tables.heads
        return {i: heads[i].last_seq for i in instance_ids if i in heads and heads[i].last_seq}

    def arrivals(self, after: Mapping[str, int], limit: int) -> list[Fact]:
        """Give facts by arrival."""
        self._store.queries += 1
        found = []
        for instance_id, seq in sorted(after.items()):
            rows = self._tables.signals.get(instance_id, {})
            behind = (rows[i] for i in self._tables.by_seq.get(instance_id, ()) if rows[i].seq > seq)
            found += [_fact(row) for row in list(behind)[:limit]]
        return found

    def facts(self, spans: Sequence[Span], limit: int) -> list[Fact]:
        """Give facts by date."""
        self._store.queries += 1
        ranges: dict[str, list[tuple[Millis, Millis]]] = defaultdict(list)
        for span in spans:
            for since, until in ranges[span.instance_id]:
                assert span.until < since or span.since > until, "spans of an instance do not overlap"
            ranges[span.instance_id].append((span.since, span.until))
        found = []
        for span in sorted(spans):
            found += [_fact(row) for row in self._inside(span)][:limit]
        return found

    def reports(self, keys: Iterable[tuple[str, str]]) -> list[Fact]:
        """Give every fact of these messages."""
        self._store.queries += 1
        return [
            _fact(self._tables.signals[key[0]][signal_id])
            for key in keys
            for signal_id in self._tables.by_message.get(key, ())
        ]

    def evidence(self, span: Span, types: Sequence[SignalType], limit: int) -> list[str]:
        """Give ids of supporting facts, newest first."""
        self._store.queries += 1
        return [row.id for row in reversed(self._inside(span)) if row.type in types][:limit]

    def snapshot(self, instance_id: str, since: Millis, until: Millis, *, latency: bool) -> Snapshot:
        """Count a window."""
        self._store.queries += 1
        rows = self._tables.signals.get(instance_id, {}).values()
        return count((_fact(row) for row in rows), since, until, latency=latency)

    def earliest_behind(self, instance_id: str, seq: int) -> Millis | None:
        """Give the earliest date behind an arrival."""
        rows = self._tables.signals.get(instance_id, {}).values()
        return min((row.occurred_at for row in rows if row.seq > seq), default=None)

    def actions(self, spans: Sequence[Span]) -> list[OperatorAction]:
        """Give actions by date."""
        self._store.queries += 1
        found = [
            action
            for span in spans
            for action in self._tables.actions.get(span.instance_id, ())
            if span.since <= action.at <= span.until and (span.seq_max is None or action.seq <= span.seq_max)
        ]
        return sorted(found, key=lambda action: (action.instance_id, action.at, action.id))

    def checkpoint(self, instance_id: str, before: Millis, setting: str) -> Checkpoint | None:
        """Give the newest checkpoint before a time."""
        self._store.queries += 1
        found = [
            point
            for point in self._tables.checkpoints.values()
            if point.instance_id == instance_id and point.at < before and point.setting == setting
        ]
        return max(found, key=lambda point: (point.at, point.base), default=None)

    def base(self, instance_id: str) -> Checkpoint | None:
        """Give the state at the retention edge."""
        self._store.queries += 1
        points = self._tables.checkpoints.values()
        return next((p for p in points if p.instance_id == instance_id and p.base), None)

    def decisions(self, query: DecisionQuery) -> DecisionPage:
        """Read one page of decisions."""
        rows = [
            row
            for row in self._tables.decisions.get(query.instance_id, ())
            if query.since <= row.evaluated_at <= query.until
        ]
        rows.sort(key=_decision_key, reverse=True)
        if query.after is not None:
            bound = query.after
            rows = [row for row in rows if _decision_key(row) < bound]
        page = rows[: query.limit]
        return DecisionPage(page, _decision_key(page[-1]) if len(rows) > len(page) else None)

    def decision(self, decision_id: str) -> DecisionRow | None:
        """Give one decision."""
        rows = (row for table in self._tables.decisions.values() for row in table)
        return next((row for row in rows if row.id == decision_id), None)

    # Evaluating

    def save(self, states: Sequence[SavedState]) -> None:
        """Store states."""
        self._store.queries += 1
        self._tables.states.update({state.instance_id: state for state in states})

    def drop_checkpoints(self, instance_id: str, since: Millis) -> None:
        """Delete checkpoints, but for the base."""
        self._tables.checkpoints = {
            key: point
            for key, point in self._tables.checkpoints.items()
            if point.instance_id != instance_id or point.at < since or point.base
        }

    def add_checkpoints(self, checkpoints: Sequence[Checkpoint]) -> None:
        """Store checkpoints; a base replaces those before it."""
        for new in checkpoints:
            if new.base:
                self._tables.checkpoints = {
                    key: point
                    for key, point in self._tables.checkpoints.items()
                    if point.instance_id != new.instance_id or (point.at >= new.at and not point.base)
                }
            self._tables.checkpoints[new.instance_id, new.at, new.base] = new

    def add_action(self, action: OperatorAction) -> OperatorAction:
        """Store an action, numbered."""
        actions = self._tables.actions.setdefault(action.instance_id, [])
        numbered = action._replace(seq=len(actions) + 1)
        actions.append(numbered)
        return numbered

    def add_decisions(self, decisions: Sequence[DecisionRow]) -> None:
        """Insert decisions, numbered; known ones are left as they are."""
        for row in decisions:
            rows = self._tables.decisions.setdefault(row.instance_id, [])
            if all(stored.id != row.id for stored in rows):
                rows.append(row._replace(arrival=len(rows) + 1))

    def _inside(self, span: Span) -> list[RecordedSignal]:
        rows = self._tables.signals.get(span.instance_id, {})
        return [
            rows[signal_id]
            for at, seq, signal_id in self._tables.by_date.get(span.instance_id, ())
            if span.since <= at <= span.until and (span.seq_max is None or seq <= span.seq_max)
        ]


def _shown(row: RecordedSignal) -> RecordedSignal:
    """Hide the reference of a forgotten message."""
    forgotten = row.message_id is not None and row.message_id.startswith(REFERENCE_PREFIX)
    return row._replace(message_id=None) if forgotten else row


def _fact(row: RecordedSignal) -> Fact:
    return Fact(
        row.instance_id,
        row.id,
        row.seq,
        row.type,
        row.source,
        row.occurred_at,
        row.message_id,
        row.is_group,
        row.latency_ms,
    )


def _page_key(row: RecordedSignal) -> PageKey:
    return PageKey(row.occurred_at, row.seq)


def _decision_key(row: DecisionRow) -> DecisionKey:
    return DecisionKey(row.evaluated_at, row.arrival)
