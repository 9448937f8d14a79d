"""Against an OpenTelemetry Collector, where one is installed: opt-in, no package of our systems brings it."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from domain.exchange import TraceContext
from domain.words import SignalType
from exporters.otel.opening import open_sink
from tests.builders import recorded_signal
from tests.exporters.otel.receiver import AT, Heard, exchange

PROGRAM = next(filter(None, map(shutil.which, ("otelcol", "otelcol-contrib", "otelcorecol"))), None)

pytestmark = pytest.mark.skipif(
    PROGRAM is None, reason="no otelcol, otelcol-contrib or otelcorecol on the path"
)

CONFIGURATION = """
receivers:
  otlp:
    protocols:
      http: {{endpoint: "127.0.0.1:{http}"}}
      grpc: {{endpoint: "127.0.0.1:{grpc}"}}
exporters:
  debug: {{verbosity: detailed}}
service:
  telemetry: {{metrics: {{level: none}}}}
  pipelines:
    logs: {{receivers: [otlp], exporters: [debug]}}
    traces: {{receivers: [otlp], exporters: [debug]}}
"""


class Collector(NamedTuple):
    """A running collector: its ports, and the file it prints to."""

    http: int
    grpc: int
    printed: Path


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Collector]:
    """Start one that prints what it receives."""
    running = Collector(free_port(), free_port(), tmp_path / "printed.txt")
    configuration = tmp_path / "collector.yml"
    configuration.write_text(CONFIGURATION.format(http=running.http, grpc=running.grpc))
    assert PROGRAM is not None
    with running.printed.open("wb") as out:
        process = subprocess.Popen(
            [PROGRAM, f"--config={configuration}"], stdout=out, stderr=subprocess.STDOUT
        )
    deadline = time.monotonic() + 20
    while not answers(running.http):
        assert time.monotonic() < deadline, running.printed.read_text()
        assert process.poll() is None, running.printed.read_text()
    yield running
    process.terminate()
    process.wait(20)


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_a_collector_understands_signals_and_spans(collector: Collector, protocol: str) -> None:
    """It takes every record, compressed, and prints name, severity, attributes, ids and parent."""
    port = collector.http if protocol == "http/protobuf" else collector.grpc
    heard = Heard()
    environ = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}",
        "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
    }
    sink = open_sink("1.2.3", environ, heard, monotonic_ns=time.monotonic_ns)
    assert sink is not None

    sink.signals([recorded_signal(7, AT, SignalType.RATE_LIMIT_HIT, context={"code": "463"})])
    sink.exchanges([exchange(trace=TraceContext("ab" * 16, "cd" * 8, 1))])

    assert sink.close(10.0)
    assert heard.outcomes == {"emitted": 2, "exported": 2}
    printed = collector.printed.read_text()
    for expected in (
        "EventName: reputation.signal",
        "SeverityNumber: Error(17)",
        "reputation.signal.id: Str(sales-1#7)",
        'reputation.signal.context: Map({"code":"463"})',
        "service.name: Str(reputation-sidecar)",
        f"Trace ID       : {'ab' * 16}",
        f"Parent ID      : {'cd' * 8}",
        "Name           : POST /send/text",
        "Kind           : Client",
    ):
        assert expected in printed
