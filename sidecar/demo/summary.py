"""The demo's last words: the ledger, both ends' own counts beside the sidecar's, and what is wrong."""

from collections import Counter
from typing import NamedTuple

from rich.console import Console

from sidecar.clock import now_ms
from sidecar.demo.dispatcher import DispatcherSimulator
from sidecar.demo.provider import ProviderSimulator
from sidecar.demo.reading import Reading
from sidecar.demo.table import instance_table


class Ends(NamedTuple):
    """What the two simulators saw, each for itself; the sidecar between them must not show.

    Attributes:
        received, served: answers by (instance, status), at the dispatcher and at the provider.
        unanswered: the dispatcher's calls without an answer.
        posted: callbacks the provider got a 2xx for.
        taken: callbacks the dispatcher answered 200.
        callbacks: the provider's own counts, for showing.
        repeats: callbacks the dispatcher saw again.
    """

    received: Counter[tuple[str, int]]
    served: Counter[tuple[str, int]]
    unanswered: int
    posted: int
    taken: int
    callbacks: Counter[str]
    repeats: int

    @classmethod
    def of(cls, dispatcher: DispatcherSimulator, provider: ProviderSimulator) -> "Ends":
        """Take the counts of both."""
        return cls(
            Counter(dispatcher.answers),
            Counter(provider.answered),
            dispatcher.errors.total(),
            provider.poster.counts["posted"],
            dispatcher.callbacks[200],
            Counter(provider.poster.counts),
            dispatcher.repeats,
        )


def summarize(
    console: Console, reading: Reading | None, stored: int | None, ends: Ends, exit_code: int
) -> list[str]:
    """Print the summary; give what is wrong, nothing when all is well.

    `stored` is the number of timeline rows, counted one by one; None when they could not be read.
    """
    if reading is not None:
        console.print(instance_table(reading, now_ms(), console.width))
    by_status = Counter[int]()
    for (_, status), count in ends.received.items():
        by_status[status] += count
    answers = ", ".join(f"{count} x {status}" for status, count in sorted(by_status.items()))
    lines = [
        f"calls: {answers or 'none'}; {ends.unanswered} without an answer",
    ]
    tries = ends.callbacks
    lines.append(
        f"callbacks: {ends.posted} accepted, {tries['retried']} retried, {tries['given_up']} given up, "
        f"{tries['unsent']} unsent at the end, {ends.repeats} seen again"
    )
    if reading is not None:
        lines += [f"ledger: {reading.ledger}", f"timelines: {stored} rows"]
        lines += [f"lost, {reason}: {count}" for reason, count in sorted(reading.lost_by_reason.items())]
    for line in lines:
        console.print(line, soft_wrap=True, highlight=False, markup=False)
    return _problems(reading, stored, ends, exit_code)


def _problems(reading: Reading | None, stored: int | None, ends: Ends, exit_code: int) -> list[str]:
    problems = []
    if reading is None:
        problems.append("the sidecar's metrics could not be read")
    elif not reading.ledger.balances:
        problems.append(f"the ledger does not balance: {reading.ledger}")
    elif reading.ledger.pending:
        problems.append(f"{reading.ledger.pending} facts are still pending")
    elif not reading.ledger.observed:
        problems.append("the sidecar observed nothing")
    elif stored != reading.ledger.recorded:
        problems.append(f"the timelines hold {stored} rows, the metrics say {reading.ledger.recorded}")
    if ends.received != ends.served:
        problems.append(
            f"the ends disagree on the answers: dispatcher {ends.received - ends.served} more, "
            f"provider {ends.served - ends.received} more"
        )
    if ends.unanswered:
        problems.append(f"{ends.unanswered} calls had no answer")
    if ends.posted != ends.taken:
        problems.append(f"the ends disagree on callbacks: {ends.posted} accepted, {ends.taken} taken")
    if exit_code:
        problems.append(f"the sidecar ended with exit code {exit_code}")
    return problems
