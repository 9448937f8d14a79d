"""GET /v1/instances over the real listener."""

from typing import Any

import pytest

from domain.words import Connection, CooldownReason, Lifecycle, RiskLevel, TemperatureLevel, Trend
from sidecar.api.times import iso
from tests.sidecar.api.serving import NOW, ListStore, admin, run, summary


def test_an_instance_shows_its_latest_state_and_null_for_what_is_unknown() -> None:
    """Every field of the contract is there; what is not known yet is null."""
    resting = summary(
        "a/1",
        score=12,
        temperature_level=TemperatureLevel.COOLDOWN,
        trend=Trend.DOWN,
        risk_level=RiskLevel.HIGH,
        lifecycle=Lifecycle.COOLDOWN,
        connection=Connection.ERROR,
        cooldown_reason=CooldownReason.DELIVERY_DROP,
        last_evaluated_at=NOW + 1,
    )
    store = ListStore(instances=[summary("b", last_signal_at=None), resting])

    async def story() -> Any:
        async with admin(store) as api:
            return (await api.get("/v1/instances")).json

    assert run(story) == {
        "instances": [
            {
                "instanceId": "a/1",
                "provider": "turbozap",
                "score": 12,
                "temperatureLevel": "COOLDOWN",
                "trend": "DOWN",
                "riskLevel": "HIGH",
                "lifecycle": "COOLDOWN",
                "connection": "ERROR",
                "cooldownReason": "DELIVERY_DROP",
                "lastSignalAt": iso(NOW),
                "lastEvaluatedAt": iso(NOW + 1),
            },
            {
                "instanceId": "b",
                "provider": "turbozap",
                "score": 50,
                "temperatureLevel": "COLD",
                "trend": "STABLE",
                "riskLevel": "LOW",
                "lifecycle": "ACTIVE",
                "connection": "CONNECTED",
                "cooldownReason": None,
                "lastSignalAt": None,
                "lastEvaluatedAt": None,
            },
        ],
        "nextCursor": None,
    }


@pytest.mark.parametrize(("limit", "pages"), [(1, 3), (2, 2), (3, 1), (4, 1)])
def test_pages_show_every_instance_once_in_order(limit: int, pages: int) -> None:
    """Cursors walk the list in order of the id; the last page says null, also when it is just full."""
    store = ListStore(instances=[summary(name) for name in ("c", "a", "b/é")])

    async def story() -> list[list[str]]:
        found, cursor = [], ""
        async with admin(store) as api:
            while True:
                answer = (await api.get(f"/v1/instances?limit={limit}{cursor}")).json
                found.append([line["instanceId"] for line in answer["instances"]])
                if answer["nextCursor"] is None:
                    return found
                cursor = f"&cursor={answer['nextCursor']}"

    found = run(story)

    assert [name for page in found for name in page] == ["a", "b/é", "c"]
    assert len(found) == pages


@pytest.mark.parametrize(
    ("query", "field"), [("limit=0", "limit"), ("cursor=AAAA", "cursor"), ("since=1", None)]
)
def test_bad_parameters_are_refused(query: str, field: str | None) -> None:
    """Out of bounds, not ours, not known: 400."""

    async def story() -> tuple[int, str, str | None]:
        async with admin() as api:
            return (await api.get(f"/v1/instances?{query}")).problem

    status, _, found = run(story)

    assert (status, found) == (400, field)
