"""The OTLP sink against a real receiver: healthy, slow, refusing, hanging, gone."""

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest

from domain.exchange import TraceContext
from exporters.otel import pipeline as pipeline_module
from exporters.otel.opening import open_sink
from exporters.otel.sink import OtlpSink
from tests.builders import recorded_signal
from tests.exporters.otel.receiver import Heard, Receiver, Reply, attributes, exchange

AT = 1_790_000_000_000

MakeReceiver = Callable[..., Receiver]
MakeSink = Callable[..., OtlpSink]


@pytest.fixture
def receiving() -> Iterator[MakeReceiver]:
    """Starts receivers and stops them in the end."""
    started: list[Receiver] = []

    def start(reply: Callable[[int], Reply | None] = lambda _: Reply()) -> Receiver:
        started.append(Receiver(reply))
        return started[-1]

    yield start
    for receiver in started:
        receiver.close()


@pytest.fixture
def heard() -> Heard:
    """What the sink told."""
    return Heard()


@pytest.fixture
def sinking(heard: Heard) -> Iterator[MakeSink]:
    """Opens sinks and closes them in the end."""
    opened: list[OtlpSink] = []

    def start(url: str, **environ: str) -> OtlpSink:
        sink = open_sink(
            "1.2.3",
            {"OTEL_EXPORTER_OTLP_ENDPOINT": url, **environ},
            heard,
            monotonic_ns=time.monotonic_ns,
        )
        assert sink is not None
        opened.append(sink)
        return sink

    yield start
    for sink in opened:
        sink.close(0.0)


@pytest.fixture
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorter waits: what is tested is their order and end, not their length."""
    monkeypatch.setattr(pipeline_module, "BACKOFF_FIRST_SECONDS", 0.01)
    monkeypatch.setattr(pipeline_module, "BACKOFF_MAX_SECONDS", 0.05)
    monkeypatch.setattr(pipeline_module, "LINGER_SECONDS", 0.01)
    monkeypatch.setattr(pipeline_module, "REQUEST_SECONDS", 0.3)


def balance(heard: Heard) -> int:
    """Records whose fate is not told yet; 0 after a close."""
    lost = heard.drops.get("queue_full", 0) + heard.drops.get("shutdown", 0)
    told = heard.outcomes.get("exported", 0) + heard.outcomes.get("failed", 0)
    return heard.outcomes.get("emitted", 0) - told - lost


def test_signals_and_exchanges_arrive_with_resource_and_scope(
    receiving: MakeReceiver, sinking: MakeSink, heard: Heard
) -> None:
    """Log records to /v1/logs, spans to /v1/traces, both from this service, nothing lost."""
    receiver = receiving()
    sink = sinking(receiver.url, OTEL_EXPORTER_OTLP_HEADERS="x-tenant=a%20b")

    sink.signals([recorded_signal(seq, AT + seq) for seq in range(1, 1201)])
    sink.exchanges([exchange(trace=TraceContext("ab" * 16, "cd" * 8, 1))])

    assert sink.close(10.0)
    assert [attributes(record)["reputation.signal.id"] for record in receiver.records] == [
        f"sales-1#{seq}" for seq in range(1, 1201)
    ]
    assert [span.trace_id.hex() for span in receiver.spans] == ["ab" * 16] * 2
    [resource] = receiver.logs[0].resource_logs
    assert attributes(resource.resource)["service.name"] == "reputation-sidecar"
    assert attributes(resource.resource)["service.version"] == "1.2.3"
    assert attributes(resource.resource)["service.instance.id"]
    assert resource.scope_logs[0].scope.name == "reputation_sidecar"
    assert {path for path, _ in receiver.requests} == {"/v1/logs", "/v1/traces"}
    for _, headers in receiver.requests:
        assert headers["content-type"] == "application/x-protobuf"
        assert headers["x-tenant"] == "a b"
    assert heard.outcomes == {"emitted": 1201, "exported": 1201}
    assert heard.drops == {}


def test_a_small_batch_leaves_within_the_linger_time(receiving: MakeReceiver, sinking: MakeSink) -> None:
    """Nobody waits for a full batch for longer than a second."""
    receiver = receiving()
    sink = sinking(receiver.url)

    sink.signals([recorded_signal(1, AT)])

    assert receiver.wait(lambda: len(receiver.records) == 1, 5.0)


def test_bodies_are_compressed_on_request(receiving: MakeReceiver, sinking: MakeSink) -> None:
    """OTEL_EXPORTER_OTLP_COMPRESSION=gzip."""
    receiver = receiving()
    sink = sinking(receiver.url, OTEL_EXPORTER_OTLP_COMPRESSION="gzip")

    sink.signals([recorded_signal(1, AT)])

    assert sink.close(10.0)
    assert receiver.requests[0][1]["content-encoding"] == "gzip"
    assert len(receiver.records) == 1


def test_the_environment_names_the_service(
    receiving: MakeReceiver, sinking: MakeSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES win over our own name."""
    monkeypatch.setenv("OTEL_SERVICE_NAME", "whatsapp-eu")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=staging")
    receiver = receiving()
    sink = sinking(receiver.url, OTEL_SERVICE_NAME="whatsapp-eu")

    sink.signals([recorded_signal(1, AT)])

    assert sink.close(10.0)
    resource = attributes(receiver.logs[0].resource_logs[0].resource)
    assert resource["service.name"] == "whatsapp-eu"
    assert resource["deployment.environment.name"] == "staging"


def test_unsampled_exchanges_are_not_exported(
    receiving: MakeReceiver, sinking: MakeSink, heard: Heard
) -> None:
    """By default the caller's decision holds."""
    receiver = receiving()
    sink = sinking(receiver.url)

    sink.exchanges([exchange(trace=TraceContext("ab" * 16, "cd" * 8, flags)) for flags in (0, 1)])

    assert sink.close(10.0)
    assert len(receiver.spans) == 2
    assert heard.outcomes == {"emitted": 1, "exported": 1}


@pytest.mark.usefixtures("quick_retries")
@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_busy_collector_is_asked_again_until_it_takes_the_batch(
    receiving: MakeReceiver, sinking: MakeSink, heard: Heard, status: int
) -> None:
    """The same batch comes again; one outage is told once, and its end."""
    receiver = receiving(lambda number: Reply(status if number < 3 else 200))
    sink = sinking(receiver.url)

    sink.signals([recorded_signal(seq, AT) for seq in range(3)])

    assert heard.wait(lambda: heard.outcomes.get("exported") == 3)
    assert len(receiver.records) == 3
    assert heard.problems == [str(status)]
    assert heard.wait(lambda: len(heard.outages) == 1)


@pytest.mark.usefixtures("quick_retries")
def test_the_collector_says_how_long_to_wait(
    receiving: MakeReceiver, sinking: MakeSink, heard: Heard
) -> None:
    """Retry-After is followed instead of our own pause."""
    times: list[float] = []

    def reply(_: int) -> Reply:
        times.append(time.monotonic())
        return Reply(503, headers=(("retry-after", "1"),)) if len(times) == 1 else Reply()

    sink = sinking(receiving(reply).url)

    sink.signals([recorded_signal(1, AT)])

    assert heard.wait(lambda: heard.outcomes.get("exported") == 1)
    assert times[1] - times[0] >= 0.95


@pytest.mark.usefixtures("quick_retries")
def test_a_refused_batch_is_not_sent_again(receiving: MakeReceiver, sinking: MakeSink, heard: Heard) -> None:
    """400 will not get better: counted as failed, the next batch goes on."""
    receiver = receiving(lambda number: Reply(400 if number == 0 else 200))
    sink = sinking(receiver.url)

    sink.signals([recorded_signal(1, AT)])
    assert heard.wait(lambda: heard.drops.get("export_failed") == 1)
    sink.signals([recorded_signal(2, AT)])

    assert heard.wait(lambda: heard.outcomes.get("exported") == 1)
    assert heard.outcomes == {"emitted": 2, "failed": 1, "exported": 1}
    assert len(receiver.requests) == 2


@pytest.mark.usefixtures("quick_retries")
def test_records_the_collector_rejects_from_a_batch_are_counted(
    receiving: MakeReceiver, sinking: MakeSink, heard: Heard
) -> None:
    """A partial success says how many."""
    partial_success = bytes([0x0A, 0x02, 0x08, 0x02])
    sink = sinking(receiving(lambda _: Reply(body=partial_success)).url)

    sink.signals([recorded_signal(seq, AT) for seq in range(5)])

    assert sink.close(10.0)
    assert heard.outcomes == {"emitted": 5, "failed": 2, "exported": 3}
    assert heard.drops == {"rejected": 2}


@pytest.mark.usefixtures("quick_retries")
def test_a_collector_that_is_gone_costs_the_recorder_nothing(sinking: MakeSink, heard: Heard) -> None:
    """Refused connections: offering stays quick, the queue stays bounded, every record is accounted."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    sink = sinking(f"http://127.0.0.1:{port}")
    batch = [recorded_signal(seq, AT) for seq in range(500)]

    started = time.monotonic()
    for _ in range(200):
        sink.signals(batch)
    took = time.monotonic() - started

    assert took < 3.0
    depth, capacity = sink.queues["otlp_logs"]
    assert depth <= capacity
    assert heard.drops["queue_full"] >= 100_000 - capacity - 10_000
    assert heard.wait(lambda: bool(heard.problems))
    sink.close(0.5)
    assert balance(heard) == 0
    assert heard.problems == ["connection"]


@pytest.mark.usefixtures("quick_retries")
def test_a_hanging_collector_cannot_hold_up_the_end(
    receiving: MakeReceiver, sinking: MakeSink, heard: Heard
) -> None:
    """Close keeps its budget with a full queue and a request under way."""
    release = threading.Event()

    def hang(_: int) -> None:
        release.wait(30)

    receiver = receiving(hang)
    sink = sinking(receiver.url)
    sink.signals([recorded_signal(seq, AT) for seq in range(8000)])
    assert receiver.wait(lambda: bool(receiver.requests))

    started = time.monotonic()
    settled = sink.close(1.0)
    took = time.monotonic() - started
    release.set()

    assert not settled
    assert took < 2.5
    assert balance(heard) == 0
    assert heard.drops["shutdown"] > 0


@pytest.mark.usefixtures("quick_retries")
def test_an_answer_that_never_comes_is_given_up_and_tried_again(
    receiving: MakeReceiver, sinking: MakeSink, heard: Heard
) -> None:
    """A request has its time; the batch survives it."""
    release = threading.Event()

    def reply(number: int) -> Reply:
        if number == 0:
            release.wait(30)
        return Reply()

    sink = sinking(receiving(reply).url)

    sink.signals([recorded_signal(1, AT)])

    assert heard.wait(lambda: heard.outcomes.get("exported") == 1)
    release.set()
    assert heard.problems == ["timeout"]


@pytest.mark.usefixtures("quick_retries")
def test_a_connection_the_collector_closed_while_idle_is_no_outage(
    receiving: MakeReceiver, sinking: MakeSink, heard: Heard
) -> None:
    """A kept connection that died is opened again without a word."""
    receiver = receiving(lambda number: None if number == 1 else Reply())
    sink = sinking(receiver.url)

    sink.signals([recorded_signal(1, AT)])
    assert heard.wait(lambda: heard.outcomes.get("exported") == 1)
    sink.signals([recorded_signal(2, AT)])

    assert heard.wait(lambda: heard.outcomes.get("exported") == 2)
    assert len(receiver.requests) == 3
    assert heard.problems == []


@pytest.mark.usefixtures("quick_retries")
def test_a_slow_collector_gets_everything_in_order(
    receiving: MakeReceiver, sinking: MakeSink, heard: Heard
) -> None:
    """Slow is not broken: records wait in the queue and arrive in order."""
    pause = threading.Event()

    def slow(_: int) -> Reply:
        pause.wait(0.05)
        return Reply()

    receiver = receiving(slow)
    sink = sinking(receiver.url)

    for start in range(0, 4000, 500):
        sink.signals([recorded_signal(start + n, AT) for n in range(500)])

    assert sink.close(15.0)
    ids = [attributes(record)["reputation.signal.id"] for record in receiver.records]
    assert ids == [f"sales-1#{seq}" for seq in range(4000)]
    assert heard.outcomes == {"emitted": 4000, "exported": 4000}


@pytest.mark.usefixtures("quick_retries")
def test_rubbish_instead_of_http_is_a_failure_like_any_other(sinking: MakeSink, heard: Heard) -> None:
    """Something else listens on the port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            while True:
                try:
                    peer, _ = server.accept()
                except OSError:
                    return
                with peer:
                    peer.recv(65536)
                    peer.sendall(b"220 smtp.example ESMTP\r\n")

        threading.Thread(target=answer, daemon=True).start()
        sink = sinking(f"http://127.0.0.1:{server.getsockname()[1]}")
        sink.signals([recorded_signal(1, AT)])

        assert heard.wait(lambda: heard.drops.get("export_failed") == 1)
        assert heard.problems == ["bad_response"]
        server.shutdown(socket.SHUT_RDWR)


@pytest.mark.usefixtures("quick_retries")
def test_a_fault_of_our_own_costs_one_batch_not_the_exporter(
    receiving: MakeReceiver, sinking: MakeSink, heard: Heard
) -> None:
    """A record that cannot be encoded at all is counted; the next ones are exported."""
    receiver = receiving()
    sink = sinking(receiver.url)
    broken = recorded_signal(1, AT)._replace(context=cast("Any", 7))

    sink.signals([broken])
    assert heard.wait(lambda: heard.drops.get("export_failed") == 1)
    sink.signals([recorded_signal(2, AT)])

    assert heard.wait(lambda: heard.outcomes.get("exported") == 1)
    assert heard.problems == ["AttributeError"]
    assert len(receiver.records) == 1


@pytest.mark.usefixtures("quick_retries")
def test_records_under_way_at_the_end_are_counted_once(
    receiving: MakeReceiver, sinking: MakeSink, heard: Heard
) -> None:
    """What the collector answers after the deadline changes no count any more."""
    release = threading.Event()

    def late(_: int) -> Reply:
        release.wait(30)
        return Reply()

    receiver = receiving(late)
    sink = sinking(receiver.url)
    sink.signals([recorded_signal(1, AT)])
    assert receiver.wait(lambda: bool(receiver.requests))

    assert not sink.close(0.05)
    release.set()
    assert receiver.wait(lambda: bool(receiver.records))

    assert heard.outcomes == {"emitted": 1}
    assert heard.drops == {"shutdown": 1}
    assert balance(heard) == 0


def test_no_endpoint_opens_nothing(heard: Heard) -> None:
    """Off is off: no thread, no import of OpenTelemetry."""
    before = threading.active_count()
    program = (
        "import sys, time; from exporters.otel.opening import open_sink;"
        "assert open_sink('1', {}, None, monotonic_ns=time.monotonic_ns) is None;"
        "sys.exit(any(name.startswith(('opentelemetry', 'google', 'requests')) for name in sys.modules))"
    )

    assert open_sink("1", {}, heard, monotonic_ns=time.monotonic_ns) is None
    assert threading.active_count() == before
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
