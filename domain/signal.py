"""The ReputationSignal: one normalized, redacted fact about an instance; no score, no opinion.

`to_signal` is the only way from an event to a signal: it maps the type (rules.md section 3), refuses what
must not be stored, keeps the allow-listed context and lets the redactor blank what is personal. A signal that
exists is therefore safe to journal, log and store.
"""

import re
from collections.abc import Callable
from functools import partial
from typing import Any, Final, NamedTuple

from domain.errors import SignalRejected
from domain.event import Context, Event
from domain.identity import is_kept
from domain.redaction import Redactor
from domain.words import EventType, Millis, Severity, SignalType, Source

_SAME: Final = {EventType(t.value): t for t in SignalType if t.value in EventType.__members__}

SIGNAL_OF: Final[dict[EventType, SignalType]] = {
    **_SAME,
    EventType.CONNECTION_QRCODE: SignalType.QRCODE_REGENERATED,
    EventType.MESSAGE_RECEIVED: SignalType.MESSAGE_REPLIED,
    EventType.GROUP_MESSAGE_RECEIVED: SignalType.MESSAGE_REPLIED,
}
"""rules.md section 3; an event type that is missing here gives no signal."""

SEVERITY_OF: Final[dict[SignalType, Severity]] = {
    **dict.fromkeys(SignalType, Severity.LOW),
    SignalType.MESSAGE_FAILED: Severity.HIGH,
    SignalType.RATE_LIMIT_HIT: Severity.HIGH,
    SignalType.CONNECTION_ERROR: Severity.HIGH,
    SignalType.CONNECTION_DISCONNECTED: Severity.HIGH,
    SignalType.QRCODE_REGENERATED: Severity.MEDIUM,
}
"""Fixed per type (design section 3, "severity"); rules.md Q36 for the QR code."""

CONTEXT_KEYS: Final = frozenset(
    {
        "action", "endpoint", "httpStatus", "code", "codeMeaning", "event", "status", "messageType",
        "presence", "reasonCode", "timeSource",
    }
)  # fmt: skip
"""The allow-list of design section 1, law 3. Anything else is left out."""

INSTANCE_ID_MAX: Final = 128
MESSAGE_ID_MAX: Final = 256
CONTEXT_VALUE_MAX: Final = 128
TIME_MAX: Final[Millis] = 253_402_300_799_999
"""End of the year 9999, the last time both stores can hold."""

_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
REMEMBERED_MAX: Final = 4096
"""Instance ids and contexts whose check is remembered; both come in bursts of the same."""

_good_ids: Final[set[str]] = set()
_good_contexts: Final[dict[tuple[object, ...], Context]] = {}
_CODE: Final = re.compile(r"[0-9]{1,9}|[A-Z][A-Z0-9_]{1,39}")


class Signal(NamedTuple):
    """One redacted fact, as the journal carries it. Make it with `to_signal`.

    Attributes:
        basis: identifies the fact within instance, source and type (see `domain.identity`).
        alias: another name of the instance to be remembered, see `Event.alias`; left out where it could
            name no instance.
        polled: see `Event.polled`.
        The rest is as in `Event`, redacted.
    """

    type: SignalType
    source: Source
    instance_id: str
    occurred_at: Millis
    message_id: str | None = None
    remote_jid: str | None = None
    is_group: bool = False
    latency_ms: int | None = None
    context: Context = {}  # noqa: RUF012 - a named tuple's default; never mutated
    basis: str = ""
    alias: str | None = None
    polled: bool = False

    @property
    def severity(self) -> Severity:
        """How serious the fact is; the type alone decides."""
        return SEVERITY_OF[self.type]


_new_signal: Final[Callable[[tuple[Any, ...]], Signal]] = partial(tuple.__new__, Signal)
# Python 3.11 takes 0.1 microseconds to find a member in its class.
_DISPATCH: Final = Source.DISPATCH


def to_signal(
    event: Event, *, redactor: Redactor, exchange_id: str, observed_at: Millis, known_codes: frozenset[str]
) -> Signal | None:
    """Turn an event into a redacted signal.

    Args:
        event: what a reader stated.
        redactor: decides what remains of personal ids.
        exchange_id: identifies the fact when nothing else does.
        observed_at: wall clock of the observation; used where the event has no usable time.
        known_codes: codes of the operator's code table that may pass besides the two safe forms.

    Returns:
        None when this event type has no signal (rules.md section 3).

    Raises:
        SignalRejected: the fact has no usable instance id or message id.
    """
    (
        event_type, source, instance_id, occurred_at, message_id, remote_jid, is_group, latency_ms, context,
        basis, alias, polled,
    ) = event  # fmt: skip
    signal_type = SIGNAL_OF.get(event_type)
    if signal_type is None:
        return None
    if instance_id not in _good_ids:
        check_instance_id(instance_id)
    if alias is not None and alias not in _good_ids and not _can_name(alias):
        alias = None
    kept = _allowed(context, known_codes)
    if occurred_at is None or not 0 < occurred_at <= TIME_MAX:
        occurred_at = observed_at
        if source is not _DISPATCH:
            kept = {**kept, "timeSource": "observed"}
    if message_id:
        if len(message_id) > MESSAGE_ID_MAX or (
            not (message_id.isascii() and message_id.isprintable()) and _UNPRINTABLE.search(message_id)
        ):
            raise SignalRejected("message_id_invalid")
        message_id = redactor.message_id(message_id)
    else:
        message_id = None
    if remote_jid:
        remote_jid = redactor.remote_jid(remote_jid)
    return _new_signal(
        (
            signal_type,
            source,
            instance_id,
            occurred_at,
            message_id,
            remote_jid or None,
            is_group,
            latency_ms,
            kept,
            basis if basis and is_kept(basis) else message_id or basis or exchange_id,
            alias,
            polled,
        )
    )


def check_instance_id(instance_id: str) -> None:
    """Refuse an instance id that cannot name an instance.

    Raises:
        SignalRejected: empty, longer than 128 characters, or holding control characters.
    """
    if not instance_id:
        raise SignalRejected("instance_id_empty")
    if len(instance_id) > INSTANCE_ID_MAX:
        raise SignalRejected("instance_id_too_long")
    if _UNPRINTABLE.search(instance_id):
        raise SignalRejected("instance_id_invalid")
    if len(_good_ids) >= REMEMBERED_MAX:
        _good_ids.clear()
    _good_ids.add(instance_id)


def _can_name(alias: str) -> bool:
    try:
        check_instance_id(alias)
    except SignalRejected:
        return False
    return True


def _allowed(context: Context, known_codes: frozenset[str]) -> Context:
    """Give what may pass; contexts repeat, so the answer is remembered and shared. Nobody changes it."""
    key = (known_codes, *context, *context.values())
    kept = _good_contexts.get(key)
    if kept is None:
        kept = _filtered(context, known_codes)
        if len(_good_contexts) >= REMEMBERED_MAX:
            _good_contexts.clear()
        _good_contexts[key] = kept
    return kept


def _filtered(context: Context, known_codes: frozenset[str]) -> Context:
    kept: Context = {}
    for key, value in context.items():
        if key not in CONTEXT_KEYS:
            continue
        if key in ("code", "reasonCode"):
            code = str(value)
            kept[key] = code if code in known_codes or _CODE.fullmatch(code) else "other"
        elif isinstance(value, str) and len(value) > CONTEXT_VALUE_MAX:
            kept[key] = "other"
        else:
            kept[key] = value
    return kept
