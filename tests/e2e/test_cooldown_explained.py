"""What it is all for: from real traffic to the reason of a cooldown, and back to that traffic."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.e2e.load import SEND, Numbered
from tests.e2e.sidecars import Sidecar, origin, until

INSTANCE = "vendas-01"
SENDS, DELIVERED, FAILED = 24, 3, 2


def receipt(message_id: str, status: str) -> bytes:
    return json.dumps(
        {
            "event": "messages.update",
            "instance": INSTANCE,
            "data": {"message_id": message_id, "from": "5511900000001@s.whatsapp.net", "status": status},
        }
    ).encode()


def talk(running: Sidecar) -> list[str]:
    """Send, and let few of the messages arrive; give their ids."""
    ids = []
    for _ in range(SENDS):
        answer = running.request("dispatch", "POST", f"/message/{INSTANCE}/text", SEND)
        ids.append(json.loads(answer.body)["data"]["message_id"])
    told = [(one, "delivered") for one in ids[:DELIVERED]] + [(one, "failed") for one in ids[-FAILED:]]
    for message_id, status in told:
        answer = running.request("webhook", "POST", "/hook", receipt(message_id, status))
        assert answer.status == 200
    return ids


def command(running: Sidecar, *words: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", "sidecar", *words, "--url", f"http://{running.listeners['admin']}", "--json"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_cooldown_is_explained_by_the_messages_that_caused_it_also_after_a_restart(tmp_path: Path) -> None:
    """The stored decision names rule, threshold, observed value and signals, which are the sends' own."""
    with origin(Numbered()) as gateway, origin() as dispatcher:
        ends = {"provider_url": gateway.url, "dispatcher_url": dispatcher.url}
        first = Sidecar(tmp_path, **ends)
        try:
            ids = talk(first.ready())
            until(
                lambda: (
                    first.get(f"/v1/instances/{INSTANCE}/reputation").get("temperatureLevel") == "COOLDOWN"
                )
            )
            assert first.stop() == 0
        finally:
            first.kill()
        again = Sidecar(tmp_path, **ends)
        try:
            again.ready()
            until(lambda: "instances" in again.get("/v1/instances"))
            state = again.get(f"/v1/instances/{INSTANCE}/reputation")
            decisions = again.get(f"/v1/instances/{INSTANCE}/decisions?since=0")["decisions"]
            entered = [one for one in decisions if one["after"]["temperatureLevel"] == "COOLDOWN"][-1]
            replayed = again.get(f"/v1/decisions/{entered['id']}?replay=true")
            signals = {one["id"]: one for one in again.timeline(INSTANCE)}
            explained = command(again, "explain", INSTANCE)
            replay = command(again, "replay", INSTANCE)
        finally:
            again.kill()

    assert (state["temperatureLevel"], state["cooldownReason"]) == ("COOLDOWN", "DELIVERY_DROP")
    assert entered["before"]["temperatureLevel"] != "COOLDOWN"
    assert entered["after"]["cooldownReason"] == "DELIVERY_DROP"
    rule = next(one for one in entered["explanation"] if one["id"] == "C1")
    observed = {part["measure"]: (part["observed"], part["threshold"]) for part in rule["conditions"]}
    sent = entered["snapshot"]["messagesSent"]
    assert observed["messagesSent"] == (sent, 20)
    assert observed["deliveredRate"] == (entered["snapshot"]["messagesDelivered"] / sent, 0.25)
    causes = [signals[one] for one in entered["signalIds"]]
    assert {one["messageId"] for one in causes if one["type"] == "MESSAGE_SENT"} <= set(ids)
    assert {one["type"] for one in causes} <= {"MESSAGE_SENT", "MESSAGE_DELIVERED", "MESSAGE_FAILED"}
    assert rule["signals"] >= sent, "ids are bounded, their count is not"
    assert replayed["reproduced"] is True
    assert "C1" in json.dumps(explained)
    assert "DELIVERY_DROP" in json.dumps(explained)
    assert replay
