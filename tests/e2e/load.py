"""Load that remembers every answer, and a gateway that gives each send an id of its own."""

import http.client
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.e2e.sidecars import Answer, Seen, Sidecar

SEND = json.dumps({"to": "5511900000001", "text": "x"}).encode()
TEXT = "/message/vendas-01/text"


class Numbered:
    """A gateway that gives each send an id of its own."""

    def __init__(self) -> None:
        self._numbers = iter(range(1_000_000))
        self._lock = threading.Lock()
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, seen: Seen) -> Answer:
        self.gate.wait(20)
        with self._lock:
            number = next(self._numbers)
        body = json.dumps(
            {"success": True, "data": {"message_id": f"3EB0{number:08X}", "status": "sent"}}
        ).encode()
        return Answer(200, {"Content-Type": "application/json"}, body)


class Load:
    """Sends on a few connections until told to stop; keeps every id it was given and every failure.

    Args:
        connections: at once.
        reuse: send again on a connection; else each send has one of its own.
    """

    def __init__(self, address: str, connections: int = 4, *, reuse: bool = True) -> None:
        self.ids: list[str] = []
        self.failures: list[str] = []
        self._address = address
        self._reuse = reuse
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._send, daemon=True) for _ in range(connections)]
        for thread in self._threads:
            thread.start()

    def _send(self) -> None:
        connection = http.client.HTTPConnection(self._address, timeout=20)
        while not self._stop.is_set():
            try:
                connection.request("POST", TEXT, SEND)
                answer = connection.getresponse()
                body = answer.read()
                if answer.status == 200:
                    self.ids.append(json.loads(body)["data"]["message_id"])
                else:
                    self.failures.append(f"{answer.status} {body!r}")
                if not self._reuse or answer.headers.get("Connection") == "close":
                    connection.close()
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(repr(error))
                connection.close()
        connection.close()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(20)


@contextmanager
def load(address: str, connections: int = 4, *, reuse: bool = True) -> Iterator[Load]:
    running = Load(address, connections, reuse=reuse)
    try:
        yield running
    finally:
        running.stop()


def recorded_ids(running: Sidecar) -> list[str]:
    """Give the message ids of all recorded sends, page by page."""
    ids: list[str] = []
    cursor = ""
    while True:
        page = running.get(f"/v1/instances/vendas-01/timeline?since=0&type=MESSAGE_SENT&limit=5000{cursor}")
        if "error" in page:  # the store is still being opened
            return []
        ids += [signal["messageId"] for signal in page["signals"]]
        if not page["nextCursor"]:
            return ids
        cursor = f"&cursor={page['nextCursor']}"


def grown(sends: Load, count: int) -> Callable[[], bool]:
    """Tell whether so many more sends were answered than now."""
    goal = len(sends.ids) + count
    return lambda: len(sends.ids) > goal


def balanced(running: Sidecar) -> bool:
    metrics = running.metrics()

    def total(name: str) -> float:
        return sum(value for key, value in metrics.items() if key.split("{")[0] == name)

    settled = sum(
        total(f"reputation_signals_{part}")
        for part in ("total", "duplicate_total", "dropped_total", "pending")
    )
    return total("reputation_signals_observed_total") == settled
