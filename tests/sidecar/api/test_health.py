"""Health over the real listener: snapshot, reputation, decisions, replay, and what an operator does."""

from typing import Any

import pytest

from domain.evaluate_health import EvaluateInstanceHealth
from domain.fold_state import setting_of
from domain.read_health import ReadInstanceHealth
from domain.recorded import InstanceHead
from domain.replay import ReplayDecisions
from domain.retain import DropPastRetention
from domain.rule_constants import with_constants
from domain.rules import RULES
from domain.snapshot import REFERENCE_FIELDS
from domain.words import ActionKind, EvaluationReason, Millis, SignalType
from sidecar.api import Evaluation, Hub
from sidecar.api.times import iso
from tests.builders import recorded_signal
from tests.fakes import InMemoryStore
from tests.sidecar.api.serving import NOW, Admin, Reply, admin, run

SETTING = setting_of(1_800_000)
HERE = "/v1/instances/sales-1"
START: Millis = NOW - 60_000


class Fleet:
    """A store with one instance that lost its deliveries, and the use cases over it."""

    def __init__(self) -> None:
        self.store = InMemoryStore()
        self.evaluate = EvaluateInstanceHealth(self.store, SETTING)
        reading = ReadInstanceHealth(self.store, SETTING)
        self.part = Evaluation(self.evaluate, reading, ReplayDecisions(self.store, SETTING))
        rows = [recorded_signal(n, START + n, message_id=f"m{n}") for n in range(1, 21)]
        rows += [
            recorded_signal(n, START + n, SignalType.MESSAGE_FAILED, message_id=f"m{n}")
            for n in range(21, 27)
        ]
        with self.store.recording() as recording:
            recording.append(rows)
            recording.save_heads([InstanceHead("sales-1", "turbozap", (), 26, START + 26)])
        self.evaluated = self.evaluate.touched(rows, NOW)


@pytest.fixture
def fleet() -> Fleet:
    """An instance in cooldown for DELIVERY_DROP."""
    return Fleet()


def ask(fleet: Fleet, *targets: str, method: str = "GET", **options: Any) -> list[Reply]:
    """Ask one after the other."""

    async def story() -> list[Reply]:
        async with admin(fleet.store, evaluation=fleet.part) as api:
            return [await api.get(target, method=method, **options) for target in targets]

    return run(story)


def test_the_reputation_says_why_it_rests(fleet: Fleet) -> None:
    """Score, level, reason, the rule with its threshold and observed number, the decision behind it."""
    (reply,) = ask(fleet, f"{HERE}/reputation")

    answer = reply.json
    assert reply.status == 200
    assert answer["instanceId"] == "sales-1"
    assert answer["at"] == iso(NOW)
    assert answer["temperatureLevel"] == "COOLDOWN"
    assert answer["cooldownReason"] == "DELIVERY_DROP"
    assert answer["status"]["lifecycle"] == "COOLDOWN"
    assert answer["cooldownCount"] == 1
    assert answer["cooldownStartedAt"].startswith(iso(START)[:19])
    assert {"code": "DELIVERY_DROP", "severity": "HIGH"}.items() <= answer["alerts"][-1].items()
    assert "BLOCK_DISPATCH" in answer["actions"]
    rest = answer["explanation"][-1]
    assert (rest["measure"], rest["threshold"], rest["observed"]) == ("deliveredRate", 0.25, 0)
    assert set(REFERENCE_FIELDS) <= set(answer["signalsSnapshot"])
    assert answer["signalsSnapshot"]["messagesSent"] == 20
    assert answer["decisionId"] == fleet.evaluated[0].decisions[-1].id


def test_the_past_is_answered_and_the_future_is_now(fleet: Fleet) -> None:
    """`at` folds to that instant; nothing of what came later shows."""
    before, future, at = ask(
        fleet,
        f"{HERE}/reputation?at={START}",
        f"{HERE}/reputation?at={NOW + 10**9}",
        f"{HERE}/reputation?at={iso(NOW)}",
    )

    assert (before.json["reputationScore"], before.json["temperatureLevel"]) == (50, "COLD")
    assert before.json["decisionId"] is None
    assert future.json == at.json
    assert at.json["at"] == iso(NOW)


def test_a_snapshot_counts_its_window_and_says_which(fleet: Fleet) -> None:
    """Both ends are inclusive; the window's length may be asked for."""
    whole, part = ask(fleet, f"{HERE}/snapshot", f"{HERE}/snapshot?windowMs=5&until={START + 25}")

    assert (whole.json["since"], whole.json["until"]) == (iso(NOW - 1_800_000), iso(NOW))
    assert (whole.json["messagesSent"], whole.json["deliveryFailures"]) == (20, 6)
    assert (part.json["since"], part.json["until"]) == (iso(START + 20), iso(START + 25))
    assert (part.json["messagesSent"], part.json["deliveryFailures"]) == (1, 5)


def test_decisions_carry_their_evidence_and_are_reproduced(fleet: Fleet) -> None:
    """Newest first; one decision by its id is the same, and its replay says that it is reproduced."""
    (listed,) = ask(fleet, f"{HERE}/decisions")
    decision = listed.json["decisions"][0]
    one, replayed = ask(
        fleet, f"/v1/decisions/{decision['id']}", f"/v1/decisions/{decision['id']}?replay=true"
    )

    assert listed.json["nextCursor"] is None
    assert decision["before"]["temperatureLevel"] == "COLD"
    assert decision["after"]["temperatureLevel"] == "COOLDOWN"
    assert decision["snapshot"]["messagesSent"] == 20
    assert len(decision["ruleSet"]) > 0
    assert decision["signalIds"]
    timeline = ask(fleet, f"{HERE}/timeline?since=0")[0].json["signals"]
    assert set(decision["signalIds"]) <= {signal["id"] for signal in timeline}
    assert one.json == decision
    assert replayed.json == {**decision, "reproduced": True, "differences": []}


def test_a_replay_takes_the_decisions_own_window_and_names_other_rules(fleet: Fleet) -> None:
    """What decided stands in the decision; rule tables this version does not have are told as such."""
    decision_id = fleet.evaluated[0].decisions[0].id
    fleet.part = fleet.part._replace(replay=ReplayDecisions(fleet.store, setting_of(10)))
    (shorter,) = ask(fleet, f"/v1/decisions/{decision_id}?replay=true")
    rules = with_constants(RULES, {"C1.deliveredRate": 0.5})
    fleet.part = fleet.part._replace(replay=ReplayDecisions(fleet.store, setting_of(10, rules=rules)))

    (other,) = ask(fleet, f"/v1/decisions/{decision_id}?replay=true")

    assert shorter.json["reproduced"] is True
    assert other.json["reproduced"] is False
    assert [one["path"] for one in other.json["differences"]] == ["ruleSet"]


def test_pages_of_decisions_show_each_once_newest_first(fleet: Fleet) -> None:
    """The cursor walks back in time."""
    for later in range(1, 5):
        fleet.evaluate.requested("sales-1", EvaluationReason.PRE_DISPATCH, NOW + later)

    async def story() -> list[Any]:
        seen, cursor = [], ""
        async with admin(fleet.store, evaluation=fleet.part, clock=lambda: NOW + 10) as api:
            while True:
                page = (await api.get(f"{HERE}/decisions?limit=2{cursor}")).json
                seen += page["decisions"]
                if page["nextCursor"] is None:
                    return seen
                cursor = f"&cursor={page['nextCursor']}"

    seen = run(story)

    assert len(seen) == len({decision["id"] for decision in seen}) == 4 + len(fleet.evaluated[0].decisions)
    times = [decision["evaluatedAt"] for decision in seen]
    assert times == sorted(times, reverse=True)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({}, "OPERATOR"),
        ({"reason": "PRE_DISPATCH"}, "PRE_DISPATCH"),
        ({"reason": "POST_CAMPAIGN"}, "POST_CAMPAIGN"),
    ],
)
def test_an_evaluation_on_request_is_stored_with_its_reason(
    fleet: Fleet, body: dict[str, str], reason: str
) -> None:
    """The answer is a decision that can be read again."""

    async def story() -> tuple[Any, Any]:
        async with admin(fleet.store, evaluation=fleet.part) as api:
            made = await api.post(f"{HERE}/evaluate", json=body)
            assert made.status == 200
            return made.json, (await api.get(f"/v1/decisions/{made.json['id']}")).json

    made, read = run(story)

    assert made["reason"] == reason
    assert made == read


def test_an_operator_enters_and_leaves_cooldown_starts_anew_and_bans(fleet: Fleet) -> None:
    """Each act is a decision with reason OPERATOR, and the reputation shows it."""
    clock = [NOW]

    async def story() -> list[tuple[Any, Any]]:
        seen = []
        async with admin(fleet.store, evaluation=fleet.part, clock=lambda: clock[0]) as api:
            for method, name in (
                ("DELETE", "cooldown"),
                ("POST", "cooldown"),
                ("POST", "reinitialise"),
                ("POST", "ban"),
            ):
                clock[0] += 1000
                made = await api.get(f"{HERE}/{name}", method=method)
                assert made.status == 200, made.body
                seen.append((made.json, (await api.get(f"{HERE}/reputation")).json))
        return seen

    left, entered, anew, banned = run(story)

    assert all(
        made["reason"] == "OPERATOR" and made["actionIds"] for made, _ in (left, entered, anew, banned)
    )
    assert left[1]["temperatureLevel"] != "COOLDOWN"
    assert (entered[1]["temperatureLevel"], entered[1]["cooldownReason"]) == (
        "COOLDOWN",
        "MANUAL_INTERVENTION",
    )
    assert (anew[1]["reputationScore"], anew[1]["cooldownCount"]) == (50, 0)
    assert banned[1]["status"] == {"lifecycle": "BANNED", "connection": "DISCONNECTED"}


@pytest.mark.parametrize(
    ("method", "target", "problem"),
    [
        ("GET", "/v1/instances/nobody/reputation", (404, "unknown_instance", None)),
        ("GET", "/v1/instances/nobody/snapshot", (404, "unknown_instance", None)),
        ("POST", "/v1/instances/nobody/evaluate", (404, "unknown_instance", None)),
        ("POST", "/v1/instances/nobody/cooldown", (404, "unknown_instance", None)),
        ("DELETE", "/v1/instances/nobody/cooldown", (404, "unknown_instance", None)),
        ("POST", "/v1/instances/nobody/ban", (404, "unknown_instance", None)),
        ("POST", "/v1/instances/nobody/reinitialise", (404, "unknown_instance", None)),
        ("GET", "/v1/decisions/none", (404, "unknown_decision", None)),
        ("GET", "/v1/decisions/none?replay=yes", (400, "invalid_parameter", "replay")),
        ("GET", f"{HERE}/reputation?at=then", (400, "invalid_parameter", "at")),
        ("GET", f"{HERE}/snapshot?windowMs=0", (400, "invalid_parameter", "windowMs")),
        ("GET", f"{HERE}/snapshot?windowMs=2678400001", (400, "invalid_parameter", "windowMs")),
        ("GET", f"{HERE}/decisions?limit=1001", (400, "invalid_parameter", "limit")),
        ("GET", f"{HERE}/decisions?cursor=AAAA", (400, "bad_cursor", "cursor")),
        ("GET", f"{HERE}/cooldown", (405, "method_not_allowed", None)),
        ("POST", "/v1/instances/%00/ban", (400, "invalid_instance_id", "instanceId")),
    ],
)
def test_what_cannot_be_answered_says_why(
    fleet: Fleet, method: str, target: str, problem: tuple[int, str, str | None]
) -> None:
    """Unknown is 404, bad is 400 by field; nothing is invented."""
    (reply,) = ask(fleet, target, method=method)

    assert reply.problem == problem


def test_a_list_of_an_unknown_instance_is_empty(fleet: Fleet) -> None:
    """Lists answer 200, as the timeline does."""
    (reply,) = ask(fleet, "/v1/instances/nobody/decisions")

    assert (reply.status, reply.json) == (200, {"decisions": [], "nextCursor": None})


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({"reason": "BECAUSE"}, (400, "invalid_body", "reason")),
        ({"why": "x"}, (400, "invalid_body", None)),
    ],
)
def test_a_bad_reason_is_refused(
    fleet: Fleet, body: dict[str, str], problem: tuple[int, str, str | None]
) -> None:
    """Reasons are a closed set, and a misspelt field is no reason."""
    (reply,) = ask(fleet, f"{HERE}/evaluate", method="POST", json=body)

    assert reply.problem == problem


def test_before_the_retention_horizon_is_410(fleet: Fleet) -> None:
    """What lies before the kept state cannot be told or replayed, and is not guessed; lists stay."""
    DropPastRetention(fleet.store, SETTING, 1)(NOW + 3 * 86_400_000)
    decision_id = fleet.evaluated[0].decisions[0].id

    past, replayed, kept = ask(
        fleet,
        f"{HERE}/reputation?at={START}",
        f"/v1/decisions/{decision_id}?replay=true",
        f"/v1/decisions/{decision_id}",
    )

    assert past.problem == (410, "past_retention", None)
    assert replayed.problem == (410, "past_retention", None)
    assert kept.status == 200


def test_annotations_draw_the_rest(fleet: Fleet) -> None:
    """A cooldown lasts from the decision that began it to the one that ended it, else to the bound."""
    target = f"/v1/annotations?instanceId=sales-1&since={START}&until={NOW + 5000}"
    (resting,) = ask(fleet, target)
    fleet.evaluate.acted("sales-1", ActionKind.LEAVE_COOLDOWN, NOW + 1000)
    ended, later = ask(fleet, target, f"/v1/annotations?instanceId=sales-1&since={NOW}&until={NOW + 5000}")

    def rest(reply: Reply) -> dict[str, Any]:
        (one,) = [item for item in reply.json["annotations"] if item["tags"] == "cooldown"]
        assert isinstance(one, dict)
        return one

    assert rest(resting)["title"] == "sales-1 in cooldown"
    assert rest(resting)["text"].startswith("DELIVERY_DROP")
    assert rest(resting)["timeEnd"] == NOW + 5000
    assert START < rest(ended)["time"] < NOW
    assert rest(ended)["timeEnd"] == NOW + 1000
    assert (rest(later)["time"], rest(later)["timeEnd"]) == (NOW, NOW + 1000)


def test_decisions_are_streamed_as_the_list_shows_them(fleet: Fleet) -> None:
    """The event stream carries the decision in its one form."""
    hub = Hub()

    async def story(api: Admin) -> bytes:
        async with api.http.get(f"{api.base}/v1/stream?instanceId=sales-1") as response:
            hub.publish([], fleet.evaluated[0].decisions)
            await response.content.readline()
            await response.content.readline()
            return await response.content.readline() + await response.content.readline()

    async def both() -> tuple[bytes, bytes]:
        async with admin(fleet.store, evaluation=fleet.part, hub=hub) as api:
            return await story(api), (
                await api.get(f"/v1/decisions/{fleet.evaluated[0].decisions[0].id}")
            ).body

    event, body = run(both)

    assert event == b"event: decision\ndata: " + body + b"\n"
