"""Makes decisions out of the fold's changes, and corrects those that late facts changed."""

from typing import Final, NamedTuple

from domain.decision import (
    SIGNAL_IDS_MAX,
    SUPPORT,
    Decision,
    EndedWindow,
    Explained,
    View,
    decision_id,
)
from domain.decision_text import from_row
from domain.fold_state import Change, FoldState, Setting, standing
from domain.health import events_of, explain_now, explain_rest, supported, view_of
from domain.health_ports import DecisionKey, DecisionQuery, DecisionRow, HealthReading, Span
from domain.signal import TIME_MAX
from domain.snapshot import Snapshot, from_counts
from domain.words import EvaluationReason, HealthEvent, Millis

PAGE_MAX: Final = 1000


class Bounds(NamedTuple):
    """What a decision knew, and when it was stored."""

    seq: int
    actions: int
    recorded_at: Millis


def of_change(instance_id: str, change: Change, bounds: Bounds, setting: Setting) -> Decision:
    """State a step that changed something."""
    at = change.after.at
    reason = EvaluationReason.WEBHOOK if change.by_fact else EvaluationReason.CRON
    if change.actions:
        reason = EvaluationReason.OPERATOR
    scored = [
        supported(found, ended.opened_at, ended.ended_at - 1, ended.counts)
        for ended in change.ended
        for found in ended.evaluation.findings
    ]
    content = _Content(
        before=view_of(change.before, at, setting),
        after=view_of(change.after, at, setting),
        snapshot=from_counts(change.after.rolling),
        explanation=(*scored, *explain_rest(change.after, at, setting)),
        events=events_of(change.before, change.after, at, setting),
        ended_windows=tuple(
            EndedWindow(ended.opened_at, ended.ended_at - 1, from_counts(ended.counts))
            for ended in change.ended
        ),
        action_ids=change.actions,
    )
    return _decision(instance_id, at, reason, content, bounds, setting, asked=False)


def at_rest(
    instance_id: str,
    state: FoldState,
    at: Millis,
    reason: EvaluationReason,
    bounds: Bounds,
    setting: Setting,
) -> Decision:
    """State how an instance stands where no step changed it: asked for, or no longer changed."""
    view = view_of(state, at, setting)
    content = _Content(
        before=view,
        after=view,
        snapshot=from_counts(state.rolling),
        explanation=explain_now(state, standing(state, at, setting.rules), at, setting),
        events=events_of(state, state, at, setting),
    )
    return _decision(instance_id, at, reason, content, bounds, setting, asked=True)


def with_evidence(reading: HealthReading, decision: Decision) -> Decision:
    """Add the ids of the signals that support each rule."""

    def proven(row: Explained) -> Explained:
        types = SUPPORT.get(row.finding.measure)
        if not types or not row.signals:
            return row
        span = Span(decision.instance_id, row.since, row.until, decision.seq)
        return row._replace(signal_ids=tuple(reading.evidence(span, types, SIGNAL_IDS_MAX)))

    return decision._replace(explanation=tuple(proven(row) for row in decision.explanation))


def correcting(decision: Decision, old: Decision, setting: Setting) -> Decision:
    """Let a decision supersede an older one about the same time."""
    return decision._replace(
        id=_identity(decision, setting, old.id), supersedes=old.id, reason=old.reason, asked=old.asked
    )


def effective_since(reading: HealthReading, instance_id: str, since: Millis) -> list[Decision]:
    """Give the decisions dated from `since` on that none supersedes, oldest first."""
    found: list[DecisionRow] = []
    after: DecisionKey | None = None
    while True:
        page = reading.decisions(DecisionQuery(instance_id, since, TIME_MAX, PAGE_MAX, after))
        found += page.decisions
        after = page.next_key
        if after is None:
            break
    superseded = {row.supersedes for row in found}
    return [from_row(row) for row in reversed(found) if row.id not in superseded]


def latest_id(reading: HealthReading, instance_id: str, until: Millis) -> str | None:
    """Give the id of the newest decision dated up to `until`."""
    page = reading.decisions(DecisionQuery(instance_id, 0, until, 1))
    return page.decisions[0].id if page.decisions else None


def _identity(decision: Decision, setting: Setting, supersedes: str | None) -> str:
    return decision_id(
        decision.instance_id,
        decision.evaluated_at,
        decision.reason,
        asked=decision.asked,
        seq=decision.seq,
        supersedes=supersedes,
        setting=setting.id,
    )


class _Content(NamedTuple):
    before: View
    after: View
    snapshot: Snapshot
    explanation: tuple[Explained, ...]
    events: tuple[HealthEvent, ...]
    ended_windows: tuple[EndedWindow, ...] = ()
    action_ids: tuple[str, ...] = ()


def _decision(
    instance_id: str,
    at: Millis,
    reason: EvaluationReason,
    content: _Content,
    bounds: Bounds,
    setting: Setting,
    *,
    asked: bool,
) -> Decision:
    decision = Decision(
        id="",
        instance_id=instance_id,
        evaluated_at=at,
        recorded_at=bounds.recorded_at,
        reason=reason,
        asked=asked,
        rule_set=setting.rule_set,
        window_ms=setting.window_ms,
        latency_rules=setting.latency_rules,
        seq=bounds.seq,
        actions=bounds.actions,
        supersedes=None,
        **content._asdict(),
    )
    return decision._replace(id=_identity(decision, setting, None))
