"""IngestReputationSignal: normalizes the events of one exchange into redacted signals.

It is the near half of ingestion: what it gives is journaled, and `RecordReputationSignal` records it from
there. It runs on the traffic's path, so it keeps no state and asks nobody.
"""

from collections.abc import Iterable

from domain.errors import SignalRejected
from domain.event import Event
from domain.exchange import Rejected
from domain.redaction import Redactor
from domain.signal import Signal, to_signal
from domain.words import Millis


class IngestReputationSignal:
    """Turns events into signals; refused facts are given back with their reason, never dropped in silence.

    Args:
        redactor: decides what remains of personal ids.
        known_codes: codes of the operator's table that may pass besides the two safe forms.
    """

    def __init__(self, redactor: Redactor, known_codes: frozenset[str] = frozenset()) -> None:
        self._redactor = redactor
        self._known_codes = known_codes

    def __call__(
        self, events: Iterable[Event], exchange_id: str, observed_at: Millis
    ) -> tuple[tuple[Signal, ...], tuple[Rejected, ...]]:
        """Give the signals of one exchange in the order of its events, and the facts that were refused."""
        signals: list[Signal] = []
        rejected: list[Rejected] = []
        for event in events:
            try:
                signal = to_signal(
                    event,
                    redactor=self._redactor,
                    exchange_id=exchange_id,
                    observed_at=observed_at,
                    known_codes=self._known_codes,
                )
            except SignalRejected as refused:
                rejected.append(Rejected(event.source, refused.reason))
            else:
                if signal is not None:
                    signals.append(signal)
        return tuple(signals), tuple(rejected)
