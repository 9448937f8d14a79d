"""An event: a provider's traffic, normalized, before it is a signal.

Readers make events and nothing else. An event may still carry what must never leave (a raw chat id, a raw
`wamid.`): it lives only inside the worker, between the reader and `domain.signal.to_signal`.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Final, NamedTuple, TypeAlias

from domain.words import EventType, Millis, Source

ContextValue: TypeAlias = str | int
Context: TypeAlias = dict[str, ContextValue]


class Event(NamedTuple):
    """One normalized fact of an exchange, as its reader states it.

    Attributes:
        type: what happened.
        source: design section 3, "source".
        instance_id: normal form of providers/README 0.2; may be empty, `to_signal` refuses it then.
        occurred_at: the provider's claim; None when it gives no usable time (observation time is used).
        message_id: the bare WhatsApp id, also of the one that caused a RATE_LIMIT_HIT.
        remote_jid: normal form of the *chat*, never the participant; raw, redacted by `to_signal`.
        is_group: the chat is a group.
        latency_ms: a duration this event states itself (SEND_LATENCY_OBSERVED).
        context: keys of the allow-list (`domain.signal.CONTEXT_KEYS`) only.
        basis: what identifies the fact when it has no message id, first that exists of: SHA-256 of the QR
            code, the provider's event id, the provider's time, SHA-256 of a body stamped by its sender.
            None: the exchange itself identifies it.
        alias: another name the provider uses for this instance (TurboZap `instance_id`), if it shows both.
        polled: a connection state read from an answer; recorded only if it differs from the last known.
    """

    type: EventType
    source: Source
    instance_id: str
    occurred_at: Millis | None = None
    message_id: str | None = None
    remote_jid: str | None = None
    is_group: bool = False
    latency_ms: int | None = None
    context: Context = {}  # noqa: RUF012 - a named tuple's default; never mutated, readers pass their own
    basis: str | None = None
    alias: str | None = None
    polled: bool = False


new_event: Final[Callable[[tuple[Any, ...]], Event]] = partial(tuple.__new__, Event)
"""Makes an event of all its values in order. For the hot path: 0.2 instead of 0.45 microseconds."""
