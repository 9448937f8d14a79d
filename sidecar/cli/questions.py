"""`sidecar instances`, `timeline`, `decisions`, `replay`."""

import sys
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

from domain.words import Millis, Severity, SignalType, Source
from sidecar.api.signals import SignalAnswer
from sidecar.api.timeline import TimelineAnswer
from sidecar.cli.answers import Answers, TimelineAsked, signals_of
from sidecar.cli.errors import CONFIGURATION, DONE, CommandFailed, complain
from sidecar.cli.finding import answering
from sidecar.cli.options import Place
from sidecar.cli.printing import print_json, print_line, print_table
from sidecar.cli.when import when
from sidecar.clock import now_ms

WINDOW_MS: Final[Millis] = 1_800_000
"""What `timeline` covers by default, as the API does."""
PAGE: Final = 1000
SHOWN: Final = 200
"""Signals shown unless more are asked for."""
FOLLOWED_MAX: Final = 5000
"""Ids remembered so that what the page and the stream both give is printed once."""


def show_instances(place: Place, *, as_json: bool) -> int:
    """List every number with its latest state; for people those that need attention first."""
    with answering(place) as answers:
        found = list(answers.instances())
    if as_json:
        print_json(found)
        return DONE
    found.sort(key=lambda one: (one.cooldown_reason is None, one.score, one.instance_id))
    head = ("INSTANCE", "SCORE", "LEVEL", "TREND", "RISK", "CONNECTION", "COOLDOWN", "LAST SIGNAL")
    print_table(
        head,
        [
            (
                one.instance_id,
                one.score,
                one.temperature_level,
                one.trend,
                one.risk_level,
                one.connection,
                one.cooldown_reason,
                one.last_signal_at,
            )
            for one in found
        ],
    )
    return DONE


def show_timeline(place: Place, asked: TimelineAsked, limit: int, *, follow: bool, as_json: bool) -> int:
    """Print at most `limit` signals in order, gaps first; with `follow` go on with what is recorded."""
    with answering(place) as answers:
        if follow:
            return _follow(answers, asked, as_json=as_json)
        first = answers.timeline(asked, None, min(limit, PAGE))
        walk = _signals(answers, asked, first)
        found = list(islice(walk, limit))
        more = next(walk, None) is not None
        if not found:
            _tell_nothing(answers, asked.instance_id, "signal in this range that was asked for")
    for gap in first.gaps:
        told = f"{gap.since}  GAP      {gap.count} facts lost until {gap.until}: {gap.reason}"
        complain(told) if as_json else print_line(told)
    if as_json:
        print_json(found)
    else:
        for signal in found:
            _print_signal(signal)
    if more:
        complain(f"there is more; ask for more than {limit} with --limit, or use `sidecar export`")
    return DONE


def timeline_asked(
    instance_id: str,
    since: str | None,
    until: str | None,
    words: dict[str, list[str] | None],
    message_id: str | None,
    *,
    descending: bool,
) -> TimelineAsked:
    """Read the options of `timeline`; `words` holds types, severities and sources.

    Raises:
        CommandFailed: one is not what it must be.
    """
    now = now_ms()
    last = when(until, "--until", now, now)
    return TimelineAsked(
        instance_id,
        when(since, "--since", now, max(0, last - WINDOW_MS)),
        last,
        _members(SignalType, words["type"], "--type"),
        _members(Severity, words["severity"], "--severity"),
        _members(Source, words["source"], "--source"),
        message_id,
        descending,
    )


def show_decisions(
    place: Place, instance_id: str, since: str | None, until: str | None, limit: int, *, as_json: bool
) -> int:
    """List decisions, newest first, at most `limit`."""
    now = now_ms()
    with answering(place) as answers:
        walk = answers.decisions(
            instance_id, when(since, "--since", now, 0), when(until, "--until", now, now)
        )
        found = list(islice(walk, limit))
        more = next(walk, None) is not None
        if not found:
            _tell_nothing(answers, instance_id, "decision in this range")
    if as_json:
        print_json(found)
    for decision in () if as_json else found:
        before, after = decision.before, decision.after
        change = (
            f"score {before.score} -> {after.score}, {before.temperature_level} -> {after.temperature_level}"
        )
        rest = f", rests: {after.cooldown_reason}" if after.cooldown_reason else ""
        print_line(f"{decision.evaluated_at}  {decision.reason:<13}  {change}{rest}  {decision.id}")
        for rule in decision.explanation:
            print_line(
                f"    {rule.id}: {rule.measure} {rule.observed:g} (threshold {rule.threshold:g}), "
                f"{rule.points:+d} points, {rule.signals} signals"
            )
    if more:
        complain(f"there are older decisions; ask for more than {limit} with --limit")
    return DONE


def _tell_nothing(answers: Answers, instance_id: str, what: str) -> None:
    """Say that there is none; a name that nobody ever heard of is a mistake.

    Raises:
        UnknownInstance: nothing was ever recorded of it.
    """
    answers.reputation(instance_id, None)
    complain(f"{instance_id} has no {what}; --since and --until widen it")


def _follow(answers: Answers, asked: TimelineAsked, *, as_json: bool) -> int:
    """Print what was, then what comes; the stream is open before the page is read, so nothing is missed."""
    stream = answers.follow(asked.instance_id)
    printed: dict[str, None] = {}
    wanted = asked._replace(until=now_ms(), descending=False)
    for signal in signals_of(answers, wanted, PAGE):
        _print_followed(signal, printed, as_json=as_json)
    if not printed:
        complain(f"nothing was recorded of {asked.instance_id} lately; waiting for it (Ctrl-C ends)")
    for signal in stream:
        if _is_wanted(signal, asked):
            _print_followed(signal, printed, as_json=as_json)
    return DONE


def _print_followed(signal: SignalAnswer, printed: dict[str, None], *, as_json: bool) -> None:
    if signal.id in printed:
        return
    printed[signal.id] = None
    if len(printed) > FOLLOWED_MAX:
        del printed[next(iter(printed))]
    if as_json:
        print_json(signal)
    else:
        _print_signal(signal)
    sys.stdout.flush()


def _is_wanted(signal: SignalAnswer, asked: TimelineAsked) -> bool:
    return (
        (not asked.types or signal.type in asked.types)
        and (not asked.severities or signal.severity in asked.severities)
        and (not asked.sources or signal.source in asked.sources)
        and asked.message_id in (None, signal.message_id)
    )


def _print_signal(signal: SignalAnswer) -> None:
    print_line(f"{signal.occurred_at}  {signal.severity:<7}  {signal.summary}")


def _signals(answers: Answers, asked: TimelineAsked, first: TimelineAnswer) -> Iterator[SignalAnswer]:
    page = first
    yield from page.signals
    while page.next_cursor is not None:
        page = answers.timeline(asked, page.next_cursor, len(page.signals) or PAGE)
        yield from page.signals


def _members(words: Any, given: list[str] | None, option: str) -> frozenset[Any]:
    try:
        return frozenset(words(part.strip()) for text in given or () for part in text.split(","))
    except ValueError as error:
        raise CommandFailed(f"{option} must be of {', '.join(words)}", CONFIGURATION) from error
