"""The load that measures others."""

import socket
import threading
import time

import pytest

from bench.load import Closed, paced, read_wrk
from bench.report import at_least, at_most

WRK = """Running 5s test @ http://127.0.0.1:1/
  1 threads and 16 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   293.20us  100.08us   3.10ms   89.94%
    Req/Sec    54.80k     1.20k   56.10k    70.00%
  Latency Distribution
     50%  280.00us
     75%  330.00us
     90%  380.00us
     99%    1.20ms
  274000 requests in 5.00s, 51.00MB read
{failures}Requests/sec:  54800.12
Transfer/sec:     10.20MB
"""
FAILURES = "  Socket errors: connect 1, read 2, write 3, timeout 4\n  Non-2xx or 3xx responses: 5\n"


def test_wrks_words_become_numbers() -> None:
    """Rate, count and latencies are read, in microseconds whatever the unit."""
    assert read_wrk(WRK.format(failures="")) == Closed(54800.12, 274000, 280.0, 1200.0, 0)


def test_failed_requests_are_counted() -> None:
    """Socket errors of every kind and answers that are not 2xx add up."""
    assert read_wrk(WRK.format(failures=FAILURES)).failed == 15


def test_unknown_words_are_an_error() -> None:
    """A wrk that could not connect gives no numbers, not zeros."""
    with pytest.raises(RuntimeError, match="unable to connect"):
        read_wrk("unable to connect to 127.0.0.1:1 Connection refused")


def test_one_stall_delays_every_request_that_was_due_meanwhile() -> None:
    """A server that stalls 200 ms once shows in a fifth of a second's requests, not in one of them."""
    ready = socket.create_server(("127.0.0.1", 0))
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

    def serve() -> None:
        connection, _ = ready.accept()
        with connection:
            for number in range(50 + 500):
                if not connection.recv(4096):
                    return
                if number == 200:
                    time.sleep(0.2)  # the stall itself, not a wait for anything
                connection.sendall(answer)

    server = threading.Thread(target=serve, daemon=True)
    server.start()
    host, port = ready.getsockname()

    measured = paced(f"{host}:{port}", per_second=500, seconds=1.0)

    server.join(10)
    ready.close()
    assert measured.requests == 500
    assert measured.worst_us >= 190_000
    assert measured.p99_us >= 150_000


def test_a_number_is_judged_by_its_aim() -> None:
    """On the aim is met, beyond it missed, for both kinds of bounds."""
    assert at_least("", 0.5, 0.5).met
    assert not at_least("", 0.49, 0.5).met
    assert at_most("", 1.25, 1.25).met
    assert not at_most("", 1.26, 1.25).met
