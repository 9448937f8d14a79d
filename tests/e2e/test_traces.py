"""From a request through a real sidecar to an OTLP receiver, a log line, an exemplar, and what that costs."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.load import SEND, TEXT, Numbered
from tests.e2e.sidecars import World, until, world
from tests.exporters.otel.receiver import Receiver, Reply, attributes

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A collector that takes everything."""
    running = Receiver()
    yield running
    running.close()


def send(ends: World, traceparent: str | None = None) -> None:
    headers = JSON if traceparent is None else JSON | {"traceparent": traceparent}
    assert ends.sidecar.request("dispatch", "POST", TEXT, SEND, headers).status == 200


def seen_by_gateway(ends: World) -> list[str]:
    return [value for seen in ends.gateway.seen for name, value in seen.headers if name == "traceparent"]


def by_trace(receiver: Receiver) -> dict[str, list[Any]]:
    traces: dict[str, list[Any]] = {}
    for span in receiver.spans:
        traces.setdefault(span.trace_id.hex(), []).append(span)
    return traces


def test_an_incoming_trace_is_joined_everywhere_and_passes_untouched(
    tmp_path: Path, receiver: Receiver
) -> None:
    """Server and client span, the signal's event, its log line and the exemplar carry the caller's trace."""
    incoming = f"00-{TRACE}-{PARENT}-01"
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url}
    with world(tmp_path, gateway=Numbered(), env=env) as ends:
        send(ends, incoming)
        assert receiver.wait(lambda: len(receiver.spans) >= 2 and len(receiver.records) >= 2)
        until(lambda: ends.sidecar.logged("reputation.signal"))
        logged = ends.sidecar.logged("reputation.signal")
        accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
        shown = ends.sidecar.request("admin", "GET", "/metrics", None, accept).body.decode()

        assert seen_by_gateway(ends) == [incoming]

    [server, client] = by_trace(receiver)[TRACE]
    assert (server.name, client.name) == ("POST /message/{instance}/text", "POST")
    assert server.parent_span_id.hex() == PARENT
    assert client.parent_span_id == server.span_id
    assert {record.trace_id.hex() for record in receiver.records if record.trace_id} == {TRACE}
    assert {line["trace_id"] for line in logged} == {TRACE}
    assert f'trace_id="{TRACE}"' in shown
    assert f'span_id="{PARENT}"' in shown
    resource = attributes(receiver.logs[0].resource_logs[0].resource)
    sent = next(r for r in map(attributes, receiver.records) if r["reputation.signal.type"] == "MESSAGE_SENT")
    assert resource["service.name"] == "reputation-sidecar"
    assert resource["service.version"]
    assert sent["reputation.instance.id"] == "vendas-01"
    assert sent["messaging.message.id"] == "3EB000000000"
    assert sent["reputation.signal.source"] == "DISPATCH"


def test_exchanges_without_a_trace_or_with_a_bad_one_get_their_own(
    tmp_path: Path, receiver: Receiver
) -> None:
    """Also those that tell nothing about a number; a bad header passes as it came."""
    bad = [f"00-{'0' * 32}-{PARENT}-01", f"ff-{TRACE}-{PARENT}-01", f"00-{TRACE}-{PARENT}", "\u00e9" * 40]
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url}
    with world(tmp_path, gateway=Numbered(), env=env) as ends:
        for traceparent in bad:
            send(ends, traceparent)
        assert ends.sidecar.request("dispatch", "GET", "/health").status == 200
        assert receiver.wait(lambda: len(receiver.spans) >= 10)

        assert seen_by_gateway(ends) == bad

    traces = by_trace(receiver)
    assert TRACE not in traces
    assert len(traces) == 5
    assert all(len(spans) == 2 for spans in traces.values())
    assert all(not spans[0].parent_span_id for spans in traces.values())
    assert "GET" in {spans[1].name for spans in traces.values()}


def test_an_unsampled_trace_leaves_no_span_and_no_exemplar(tmp_path: Path, receiver: Receiver) -> None:
    """The caller decided not to record it; the signal still tells its trace id."""
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url}
    with world(tmp_path, gateway=Numbered(), env=env) as ends:
        send(ends, f"00-{TRACE}-{PARENT}-00")
        assert receiver.wait(lambda: len(receiver.records) >= 2)
        accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
        shown = ends.sidecar.request("admin", "GET", "/metrics", None, accept).body.decode()

    assert receiver.spans == []
    assert "trace_id" not in shown
    assert {record.trace_id.hex() for record in receiver.records if record.trace_id} == {TRACE}


@pytest.mark.slow  # a request has three seconds, the end five
def test_a_hanging_collector_costs_neither_traffic_nor_the_end(tmp_path: Path) -> None:
    """Requests pass, facts are recorded, one line tells of the outage, SIGTERM keeps its time."""
    release = threading.Event()

    def hang(_: int) -> Reply | None:
        release.wait(60)
        return None

    hanging = Receiver(hang)
    try:
        with world(tmp_path, gateway=Numbered(), env={"OTEL_EXPORTER_OTLP_ENDPOINT": hanging.url}) as ends:
            for _ in range(50):
                send(ends)
            ends.sidecar.settled(50)
            until(lambda: ends.sidecar.logged("otlp.failing"))

            assert ends.sidecar.total("reputation_signals_total") >= 50
            assert ends.sidecar.stop(12.0) == 0
            assert len(ends.sidecar.logged("otlp.failing")) <= 2
    finally:
        release.set()
        hanging.close()
