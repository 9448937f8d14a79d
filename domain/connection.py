"""How an instance is connected: which facts say so, and which one wins.

One rule for the fold and for the instance list, whatever the order of arrival (design section 3,
"connection"): the newest `occurred_at` wins. Providers often date by whole seconds, so several facts share an
instant; then the later row of `CONNECTION_OF` wins, the order in which a number usually comes back: QR code
shown, disconnected, error, connected. A successful send proves a connection only where nothing was told, so
any dated fact outranks it, even an earlier one.
"""

from typing import Final, NamedTuple

from domain.words import Connection, Lifecycle, Millis, SignalType

CONNECTION_OF: Final[dict[SignalType, Connection]] = {
    SignalType.QRCODE_REGENERATED: Connection.QRCODE,
    SignalType.CONNECTION_DISCONNECTED: Connection.DISCONNECTED,
    SignalType.CONNECTION_ERROR: Connection.ERROR,
    SignalType.CONNECTION_CONNECTED: Connection.CONNECTED,
}
"""Facts that say how an instance is connected; of one millisecond, the later row wins."""

_RANK: Final = {state: rank for rank, state in enumerate(CONNECTION_OF.values())}

SENDS: Final = frozenset({SignalType.MESSAGE_SENT, SignalType.REACTION_SENT})
"""Successful sends: they prove a connection where nothing else is known."""


class Known(NamedTuple):
    """The last known connection; `at` is the date of the fact that told it, 0 where none did."""

    state: Connection = Connection.UNKNOWN
    at: Millis = 0

    def after(self, kind: SignalType, at: Millis) -> "Known":
        """Give what is known after one more fact, which may be older than what is known."""
        told = CONNECTION_OF.get(kind)
        if told is None:
            proven = kind in SENDS and self.state is Connection.UNKNOWN
            return Known(Connection.CONNECTED) if proven else self
        if at > self.at or (at == self.at and _RANK[told] > _RANK[self.state]):
            return Known(told, at)
        return self


def shown(connection: Connection, lifecycle: Lifecycle) -> Connection:
    """Give the connection an answer shows: a banned instance is disconnected, whatever still comes in."""
    return Connection.DISCONNECTED if lifecycle is Lifecycle.BANNED else connection
