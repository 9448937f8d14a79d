"""Whoever reads the log and stops reading: traffic, recording and the end go on without them."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.e2e.sidecars import call, origin, until

BATCHES, BATCH = 20, 500
"""Ten thousand lines of half a kilobyte: more than a pipe and the queue of 4 MiB hold."""
LONG, INSTANCE = "M" * 100, "sales-" * 12


@pytest.mark.slow
def test_a_reader_of_the_log_that_stops_reading_holds_up_nothing(tmp_path: Path) -> None:
    """Exchanges are answered, every fact is recorded, dropped lines are counted, SIGTERM ends it in time."""
    with origin() as gateway:
        settings = {
            "PROVIDER_URL": gateway.url,
            "DISPATCH_LISTEN": "127.0.0.1:0",
            "ADMIN_LISTEN": "127.0.0.1:0",
            "DATA_DIR": str(tmp_path / "data"),
        }
        clean = {
            name: text for name, text in os.environ.items() if not name.startswith(("SIDECAR_", "OTEL_"))
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "sidecar", "run"],
            env=clean | {f"SIDECAR_{name}": value for name, value in settings.items()},
            stdout=subprocess.PIPE,
        )
        try:
            assert process.stdout is not None
            listeners = json.loads(process.stdout.readline())["listeners"]

            def metric(name: str) -> float:
                text = call(listeners["admin"], "GET", "/metrics").body.decode()
                samples = (line.rsplit(" ", 1) for line in text.splitlines() if line.startswith(name))
                return sum(float(value) for _, value in samples)

            for batch in range(BATCHES):
                signals = [
                    {"type": "MESSAGE_SENT", "instanceId": INSTANCE, "messageId": f"{LONG}{batch}-{number}"}
                    for number in range(BATCH)
                ]
                body = json.dumps({"signals": signals}).encode()
                headers = {"Content-Type": "application/json"}
                assert call(listeners["admin"], "POST", "/v1/signals", body, headers).status == 202
                assert call(listeners["dispatch"], "GET", "/health").status == 200

            until(lambda: metric("reputation_signals_total") == BATCHES * BATCH, 60)
            dropped = metric('reputation_export_dropped_total{reason="queue_full",sink="log"}')
            assert 100 < dropped < BATCHES * BATCH
            assert metric("reputation_signals_pending") == 0
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
        finally:
            if process.poll() is None:
                for child in psutil.Process(process.pid).children(recursive=True):
                    child.kill()
                process.kill()
                process.wait(10)
            if process.stdout is not None:
                process.stdout.close()
