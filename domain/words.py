"""The closed sets of the reputation domain, spelled as they go over every wire.

One spelling everywhere: log, event, column, label and API carry the member's value. Order matters where
rules.md section 2 gives one.
"""

from enum import StrEnum
from typing import TypeAlias

Millis: TypeAlias = int
"""A time: milliseconds since the epoch, UTC. The only form of a time inside; ISO text exists at the edges.

Integers compare, subtract and store exactly, and cost nothing on the hot path (docs/adr/0002).
"""


class Word(StrEnum):
    """A member of a closed set, hashed as the string it equals.

    `Enum` hashes a member's name instead, in Python: a look-up by member took 0.19 microseconds, not 0.05.
    """

    __hash__ = str.__hash__


class SignalType(Word):
    """What a signal states (rules.md section 2)."""

    MESSAGE_SENT = "MESSAGE_SENT"
    MESSAGE_DELIVERED = "MESSAGE_DELIVERED"
    MESSAGE_READ = "MESSAGE_READ"
    MESSAGE_REPLIED = "MESSAGE_REPLIED"
    MESSAGE_FAILED = "MESSAGE_FAILED"
    REACTION_SENT = "REACTION_SENT"
    PRESENCE_SET = "PRESENCE_SET"
    SEND_LATENCY_OBSERVED = "SEND_LATENCY_OBSERVED"
    RATE_LIMIT_HIT = "RATE_LIMIT_HIT"
    QRCODE_REGENERATED = "QRCODE_REGENERATED"
    CONNECTION_CONNECTED = "CONNECTION_CONNECTED"
    CONNECTION_DISCONNECTED = "CONNECTION_DISCONNECTED"
    CONNECTION_ERROR = "CONNECTION_ERROR"


class EventType(Word):
    """What a provider's traffic says, before it is a signal (rules.md section 2)."""

    MESSAGE_SENT = "MESSAGE_SENT"
    MESSAGE_RECEIVED = "MESSAGE_RECEIVED"
    MESSAGE_DELIVERED = "MESSAGE_DELIVERED"
    MESSAGE_READ = "MESSAGE_READ"
    MESSAGE_FAILED = "MESSAGE_FAILED"
    REACTION_SENT = "REACTION_SENT"
    REACTION_RECEIVED = "REACTION_RECEIVED"
    PRESENCE_SET = "PRESENCE_SET"
    SEND_LATENCY_OBSERVED = "SEND_LATENCY_OBSERVED"
    BLOCK_DETECTED = "BLOCK_DETECTED"
    DELIVERY_FAILURE = "DELIVERY_FAILURE"
    RATE_LIMIT_HIT = "RATE_LIMIT_HIT"
    CONNECTION_CONNECTED = "CONNECTION_CONNECTED"
    CONNECTION_DISCONNECTED = "CONNECTION_DISCONNECTED"
    CONNECTION_QRCODE = "CONNECTION_QRCODE"
    CONNECTION_ERROR = "CONNECTION_ERROR"
    GROUP_JOINED = "GROUP_JOINED"
    GROUP_LEFT = "GROUP_LEFT"
    GROUP_MESSAGE_RECEIVED = "GROUP_MESSAGE_RECEIVED"


class Severity(Word):
    """How serious a signal is; fixed by its type (design: severity)."""

    LOW = "LOW"
    MEDIUM = "MEDIUM"
    HIGH = "HIGH"


class Source(Word):
    """Where a fact was seen.

    DISPATCH: outcome of a dispatcher's call. PROVIDER: connection, QR and rate-limit facts, whichever way
    they arrive. WEBHOOK: message lifecycle callbacks.
    """

    WEBHOOK = "WEBHOOK"
    DISPATCH = "DISPATCH"
    PROVIDER = "PROVIDER"


class Direction(Word):
    """Which way an exchange goes: dispatcher to provider, or provider to dispatcher."""

    DISPATCH = "dispatch"
    WEBHOOK = "webhook"


class Connection(Word):
    """Connection of an instance to WhatsApp; UNKNOWN until a fact tells (design section 3)."""

    UNKNOWN = "UNKNOWN"
    DISCONNECTED = "DISCONNECTED"
    CONNECTING = "CONNECTING"
    QRCODE = "QRCODE"
    CONNECTED = "CONNECTED"
    ERROR = "ERROR"


class Lifecycle(Word):
    """Stage of an instance's life (rules.md section 12)."""

    CREATED = "CREATED"
    ACTIVE = "ACTIVE"
    COOLDOWN = "COOLDOWN"
    BANNED = "BANNED"


class TemperatureLevel(Word):
    """Heat of an instance; COOLDOWN never comes from a score."""

    COLD = "COLD"
    WARMING = "WARMING"
    WARM = "WARM"
    HOT = "HOT"
    OVERHEATED = "OVERHEATED"
    COOLDOWN = "COOLDOWN"


class Trend(Word):
    """Where the score is heading."""

    UP = "UP"
    DOWN = "DOWN"
    STABLE = "STABLE"


class CooldownReason(Word):
    """Why an instance should rest."""

    BLOCK_SPIKE = "BLOCK_SPIKE"
    LOW_REPLY_RATE = "LOW_REPLY_RATE"
    DELIVERY_FAILURES = "DELIVERY_FAILURES"
    DELIVERY_DROP = "DELIVERY_DROP"
    SEND_DELAY_SPIKE = "SEND_DELAY_SPIKE"
    CONNECTION_INSTABILITY = "CONNECTION_INSTABILITY"
    MANUAL_INTERVENTION = "MANUAL_INTERVENTION"
    SCORE_THRESHOLD = "SCORE_THRESHOLD"
    OVERHEATED = "OVERHEATED"


class EvaluationReason(Word):
    """What made an evaluation happen; a label, it changes no result."""

    WEBHOOK = "WEBHOOK"
    CRON = "CRON"
    PRE_DISPATCH = "PRE_DISPATCH"
    POST_CAMPAIGN = "POST_CAMPAIGN"
    OPERATOR = "OPERATOR"


class RiskLevel(Word):
    """Risk of going on sending."""

    LOW = "LOW"
    MEDIUM = "MEDIUM"
    HIGH = "HIGH"


class ActionKind(Word):
    """What an operator can do to an instance's reputation: a dated input of the fold."""

    ENTER_COOLDOWN = "ENTER_COOLDOWN"
    LEAVE_COOLDOWN = "LEAVE_COOLDOWN"
    REINITIALISE = "REINITIALISE"
    BAN = "BAN"


class WarmUpPhase(Word):
    """How far an instance is warmed up; derived, never stored."""

    NEWBORN = "NEWBORN"
    OBSERVER = "OBSERVER"
    INTERACTING = "INTERACTING"
    SOCIAL = "SOCIAL"
    READY = "READY"


class AlertSeverity(Word):
    """How serious an alert is."""

    LOW = "LOW"
    MEDIUM = "MEDIUM"
    HIGH = "HIGH"
    CRITICAL = "CRITICAL"


class AlertCode(Word):
    """What an alert is about (rules.md section 9)."""

    BLOCK_DETECTED = "BLOCK_DETECTED"
    HIGH_DELIVERY_FAILURES = "HIGH_DELIVERY_FAILURES"
    OVERHEATED = "OVERHEATED"
    COOLDOWN_REQUIRED = "COOLDOWN_REQUIRED"
    SCORE_DEGRADING = "SCORE_DEGRADING"
    LOW_REPLY_RATE = "LOW_REPLY_RATE"
    RAPID_SCORE_DROP = "RAPID_SCORE_DROP"
    NO_HUMAN_INTERACTION = "NO_HUMAN_INTERACTION"
    DELIVERY_DROP = "DELIVERY_DROP"
    SEND_DELAY_SPIKE = "SEND_DELAY_SPIKE"


class HealthAction(Word):
    """What may or should be done with an instance now; advice only."""

    VIEW_HEALTH = "VIEW_HEALTH"
    CONNECT = "CONNECT"
    RECONNECT = "RECONNECT"
    ENTER_COOLDOWN = "ENTER_COOLDOWN"
    ALLOW_DISPATCH = "ALLOW_DISPATCH"
    BLOCK_DISPATCH = "BLOCK_DISPATCH"
    ALERT = "ALERT"


class HealthEvent(Word):
    """What an evaluation announces."""

    ENTERED_COOLDOWN = "InstanceEnteredCooldown"
    RECOVERED = "InstanceRecovered"
    AT_RISK = "InstanceAtRisk"
