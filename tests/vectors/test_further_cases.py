"""Cases beyond the recorded ones: what rules.md says where the recorded cases happen to leave an edge out.

Expected values were worked out by hand from the rules, not recorded.
"""

from typing import Final

import pytest

from tests.vectors.cases import RUNNERS
from tests.vectors.wire import Json

NOON = "2026-01-16T12:00:00.000Z"
ACTIVE: Final = {"lifecycleStatus": "ACTIVE", "connectionStatus": "CONNECTED", "purpose": "MIXED"}


def ran(schema: str, **given: Json) -> Json:
    return RUNNERS[f"{schema}/1"](given)


def signal(at: Json, kind: str = "MESSAGE_DELIVERED", **fields: Json) -> Json:
    return {
        "type": kind,
        "severity": "LOW",
        "source": "WEBHOOK",
        "instanceId": "i-1",
        "occurredAt": at,
        **fields,
    }


def counted(*signals: Json, now: str = NOON) -> Json:
    return ran("snapshot_from_signals", now=now, windowMs=1_800_000, instanceId="i-1", signals=list(signals))


@pytest.mark.parametrize(
    ("sent", "delivered", "fact"),
    [
        (400, 25, "6.3"),
        (1600, 1, "0.1"),
        (2000, 1, "0.1"),
        (2001, 1, "0.0"),
        (30, 10, "33.3"),
        (800, 319, "39.9"),
        (1600, 639, "39.9"),
    ],
)
def test_a_rate_is_rounded_half_up_at_its_exact_binary_value(sent: int, delivered: int, fact: str) -> None:
    """6.25 gives 6.3; 39.875 gives 39.9; 0.05 lies a little above its half."""
    given = ran("evaluate_window", messagesSent=sent, messagesDelivered=delivered, messagesReplied=sent)

    assert [alert["fact"] for alert in given["alerts"]] == [fact]


@pytest.mark.parametrize(
    ("mean", "fact"),
    [(15_000, "15000"), (15_000.5, "15001"), (15_001.5, "15002"), (15_000.499999999, "15000")],
)
def test_a_mean_latency_is_rounded_half_up(mean: float, fact: str) -> None:
    """Never to the even neighbour."""
    given = ran(
        "evaluate_window",
        messagesSent=5,
        messagesDelivered=5,
        messagesReplied=5,
        averageDeliveryLatencyMs=mean,
    )

    assert given["alerts"] == [{"code": "SEND_DELAY_SPIKE", "severity": "MEDIUM", "fact": fact}]


def test_absent_and_null_counts_are_zero_and_unknown_fields_do_not_matter() -> None:
    """A case may leave out what is zero and carry what nobody reads."""
    given = ran("evaluate_window", messagesSent=20, messagesDelivered=None, deliveryFailures=5, note="x")

    assert (given["scoreDelta"], given["cooldownReason"]) == (-28, "DELIVERY_DROP")


def test_latencies_are_added_in_order_of_arrival() -> None:
    """The sum of doubles depends on the order in its last bit: 0.1 + 0.2 + 0.3 is not 0.3 + 0.2 + 0.1."""
    late_first = [
        signal(f"2026-01-16T11:5{9 - n}:00.000Z", latencyMs=v) for n, v in enumerate((0.1, 0.2, 0.3))
    ]

    assert counted(*late_first)["snapshot"]["averageDeliveryLatencyMs"] == (0.1 + 0.2 + 0.3) / 3
    assert (0.1 + 0.2 + 0.3) / 3 != (0.3 + 0.2 + 0.1) / 3


def test_a_window_compares_instants_whatever_the_zone_they_are_written_in() -> None:
    """A nanosecond before the edge is cut to the edge and inside; a millisecond before it is not."""
    given = counted(
        signal("2026-01-16T08:30:00.000-03:00"),
        signal("2026-01-16T11:29:59.999999999Z"),
        signal("2026-01-16T12:00:00.000999Z"),
        signal("2026-01-16T12:00:00.001Z"),
    )

    assert given["signalsInWindow"] == 2


def test_an_invalid_date_is_in_no_window() -> None:
    """Neither counted nor a member of a timeline."""
    assert counted(signal(None), signal("never"))["signalsInWindow"] == 0
    bounds = {"since": "1970-01-01T00:00:00Z", "until": NOON, "instanceId": "i-1"}
    assert ran("timeline", signals=[{"id": "a", "instanceId": "i-1", "occurredAt": None}], **bounds) == {
        "members": [],
        "inMemoryOrder": [],
        "orderedByOccurredAt": [],
    }


def test_an_event_carries_its_own_fields_only_and_a_written_date() -> None:
    """What is no field of an event does not travel into the signal."""
    given = ran(
        "event_to_signal",
        type="MESSAGE_READ",
        source="WEBHOOK",
        instanceId="i-1",
        occurredAt="2026-01-16T13:00:00.0004+01:00",
        isGroup=False,
        remoteJid=None,
        foo=1,
    )["signal"]

    assert given["occurredAt"] == NOON
    assert given["remoteJid"] is None
    assert "foo" not in given


def test_an_unknown_instance_stores_every_signal_it_is_given() -> None:
    """The reference stores before it looks: unknown types and invalid dates count as stored (Q21)."""
    event = {
        "type": "MESSAGE_SENT",
        "source": "WEBHOOK",
        "instanceId": "i-1",
        "occurredAt": None,
        "isGroup": False,
    }
    given = ran(
        "health_pipeline",
        instance=None,
        reputation=None,
        steps=[
            {"at": NOON, "op": "append_signals", "signals": [signal(NOON, "SOMETHING_ELSE")]},
            {"at": NOON, "op": "ingest", "event": event},
        ],
    )

    assert given["steps"] == [None, {"error": "Instance not found", "signalsStored": 2}]


def test_signals_of_another_instance_do_not_count_in_a_pipeline() -> None:
    """A shared store holds many instances; only the evaluated one's are in its snapshot."""
    other = signal(NOON, "MESSAGE_SENT") | {"instanceId": "i-2"}
    given = ran(
        "health_pipeline",
        instance=ACTIVE,
        reputation=None,
        steps=[
            {"at": NOON, "op": "append_signals", "signals": [other, signal(NOON, "MESSAGE_SENT")]},
            {"at": NOON, "op": "evaluate", "reason": "POST_CAMPAIGN"},
        ],
    )

    assert given["steps"][1]["signalsSnapshot"]["messagesSent"] == 1


def webhook(event: Json, data: Json = None, **envelope: Json) -> Json:
    payload = {"event": event, "instance_id": "i", "timestamp": NOON, "data": data, **envelope}
    return ran("turbozap_webhook_to_events", now=NOON, payload=payload)["events"]


@pytest.mark.parametrize("name", [None, 7, {"a": 1}, ["messages.upsert"], "MESSAGES.UPSERT", ""])
def test_an_event_name_of_another_kind_is_nothing(name: Json) -> None:
    """Numbers, lists and objects name no event."""
    assert webhook(name, {"status": "sent"}) == []


@pytest.mark.parametrize("status", [None, 3, ["sent"], {"sent": 1}, "Sent", ""])
def test_a_status_of_another_kind_is_nothing(status: Json) -> None:
    """Only the four words are receipts."""
    assert webhook("messages.update", {"status": status}) == []
    assert webhook("connection.update", {"status": status}) == []


def test_times_beyond_four_digit_years_are_written_with_a_sign() -> None:
    """Epoch microseconds are taken as milliseconds and land far away (Q22)."""
    [event] = webhook("messages.update", {"status": "sent", "timestamp": 1_768_564_800_000_000})

    assert event["occurredAt"] == "+058013-08-03T00:00:00.000Z"


def test_an_empty_list_is_true_where_the_reference_asks() -> None:
    """`is_group: []` drops the message, `fromMe: {}` makes it ours, as in JavaScript."""
    assert webhook("messages.upsert", {"is_group": []}) == []
    assert webhook("messages.upsert", {"fromMe": {}})[0]["type"] == "MESSAGE_SENT"


@pytest.mark.parametrize("action", ["SET_PRESENCE", "MARK_AS_READ"])
def test_actions_whose_provider_call_answers_nothing_cannot_fail(action: str) -> None:
    """A presence and a read mark succeed, are unsupported, or throw; there is no failure event."""
    given = ran(
        "dispatch_to_events",
        now=NOON,
        adapter="action",
        instanceDisplayName=None,
        providerCapabilities=["setPresence", "markAsRead"],
        action={"instanceId": "i-1", "type": action, "messageId": "m", "presence": "paused"},
        providerOutcome={"result": {"success": False}},
    )

    assert given["success"] is True
    assert [event["type"] for event in given["producedEvents"]] != ["MESSAGE_FAILED"]


def test_a_stored_alert_keeps_its_number_until_the_next_evaluation() -> None:
    """An operator's mark between two evaluations shows the alerts as they were."""
    stored = {
        "score": 45,
        "temperatureLevel": "WARMING",
        "trend": "DOWN",
        "alerts": [{"code": "SCORE_DEGRADING", "severity": "MEDIUM", "fact": "45"}],
        "cooldownCount": 1,
    }
    given = ran(
        "evaluator_sequences",
        initial=stored,
        steps=[{"at": NOON, "op": "enter_cooldown", "reason": "MANUAL_INTERVENTION"}],
    )

    [step] = given["steps"]
    assert step["alerts"][0]["fact"] == "45"
    assert (step["cooldownCount"], step["canDispatch"], step["lastEvaluatedAt"]) == (2, [], None)
