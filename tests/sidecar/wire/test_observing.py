"""A crashing observer: it costs facts, it is counted, and not a byte of traffic differs."""

from collections.abc import Callable

import pytest

from sidecar.exchange import Body, BodyState, Exchange, Headers, Release
from tests.sidecar.wire.desk import OK, Desk
from tests.sidecar.wire.peers import PlainCopier, WholeCopy, Witness, run

POST = b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello"


class Fragile(Witness):
    """An observer that crashes in one call."""

    def __init__(self, crashing: str) -> None:
        super().__init__()
        self._crashing = crashing

    def _maybe_crash(self, call: str) -> None:
        if call == self._crashing:
            raise RuntimeError(call)

    def copier_of(self, headers: Headers) -> PlainCopier:
        self._maybe_crash("copier_of")
        return PlainCopier(lambda: FragileCopy(self._maybe_crash))

    def ended(self, exchange: Exchange, release: Release) -> None:
        self.exchanges.append(exchange)
        if self._crashing == "ended after release":
            release()
            self._crashing = "ended"
        self._maybe_crash("ended")
        release()


class FragileCopy(WholeCopy):
    """A copy that crashes where its observer does."""

    def __init__(self, maybe_crash: Callable[[str], None]) -> None:
        super().__init__()
        self._maybe_crash = maybe_crash

    def feed(self, chunk: bytes) -> None:
        self._maybe_crash("feed")
        super().feed(chunk)

    def finish(self, *, complete: bool) -> Body:
        self._maybe_crash("finish")
        return super().finish(complete=complete)


@pytest.mark.parametrize(
    ("crashing", "count"),
    [("copier_of", 2), ("feed", 2), ("finish", 2), ("ended", 1), ("ended after release", 1)],
)
@pytest.mark.parametrize("size", [1, 1000])
def test_a_crash_costs_facts_and_never_traffic(crashing: str, count: int, size: int) -> None:
    """Both messages pass byte for byte, the crash is counted once, and the copy says that it is not whole."""

    async def story() -> None:
        witness = Fragile(crashing)
        desk = Desk(witness=witness)
        await desk.say(POST, size)
        await desk.answer(OK, size)

        assert desk.up.written == POST.replace(b": h\r", b": origin\r")
        assert desk.down.written == OK
        call = crashing.split(maxsplit=1)[0]
        if call != "ended":
            # A body that came in one piece is copied by one call.
            call = "whole" if size > 1 else {"copier_of": "start"}.get(call, call)
        assert dict(desk.forwarder.counters.observer_crashes) == {call: count}
        exchange = witness.exchanges[0]
        if call == "ended":
            assert exchange.request_body == (b"hello", BodyState.WHOLE)
        else:
            assert exchange.request_body.state is exchange.response_body.state is BodyState.CUT
        assert desk.side.active_requests == 0

    run(story())
