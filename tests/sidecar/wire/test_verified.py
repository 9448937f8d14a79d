"""Callbacks whose signature is verified: held until valid, or watched while they pass."""

import pytest

from sidecar.exchange import Exchange, Signature, Verification, WireError
from sidecar.wire import Limits, Reason, VerifyMode
from tests.sidecar.wire.desk import OK, Desk
from tests.sidecar.wire.peers import Witness, run, until

LENGTH = b"POST /hook HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\nsigned"
CHUNKED = (
    b"POST /hook HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3\r\nsig\r\n3\r\nned\r\n0\r\nX-Sum: 1\r\n\r\n"
)


class ByContent:
    """A verification that finds exactly the bytes `signed` valid."""

    def __init__(self) -> None:
        self._data = b""

    def feed(self, chunk: bytes) -> None:
        self._data += chunk

    def finish(self) -> Signature:
        return Signature.VALID if self._data == b"signed" else Signature.INVALID


class Crashing(ByContent):
    """A verification that breaks."""

    def feed(self, chunk: bytes) -> None:
        raise RuntimeError("broken")


def desk_of(mode: VerifyMode, kind: type[ByContent] = ByContent, **limits: int) -> Desk:
    witness = Witness()

    def verifier(_: Exchange) -> Verification | None:
        return kind()

    witness.verifier = verifier
    return Desk(verify=mode, witness=witness, limits=Limits(**limits))


@pytest.mark.parametrize("callback", [LENGTH, CHUNKED], ids=["length", "chunked"])
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_valid_callback_is_held_until_whole_and_then_passes_whole(callback: bytes, size: int) -> None:
    """Not a byte is sent on before its last one has come; payload and trailers are kept."""

    async def story() -> None:
        desk = desk_of(VerifyMode.REJECT)
        await desk.say(callback[:-1], size)
        assert not desk.up.written
        await desk.say(callback[-1:])
        await desk.answer()

        assert desk.up.written.startswith(b"POST /hook HTTP/1.1\r\nHost: origin\r\n")
        end = b"6\r\nsigned\r\n0\r\nX-Sum: 1\r\n\r\n" if callback is CHUNKED else b"\r\n\r\nsigned"
        assert desk.up.written.endswith(end)
        assert desk.down.written == OK
        exchange = desk.witness.exchanges[0]
        assert exchange.signature is Signature.VALID
        assert exchange.request_body.data == b"signed"

    run(story())


@pytest.mark.parametrize("kind", [ByContent, Crashing], ids=["forged", "crashed"])
def test_what_does_not_verify_is_answered_401_and_never_sent_on(kind: type[ByContent]) -> None:
    """In `reject` mode also a verification that crashed is none; the connection serves on."""

    async def story() -> None:
        desk = desk_of(VerifyMode.REJECT, kind)
        await desk.say(LENGTH.replace(b"signed", b"forged"))

        assert desk.down.written.startswith(b"HTTP/1.1 401 ")
        assert b"Sidecar-Error: SIGNATURE_REJECTED\r\n" in desk.down.written
        assert not desk.up.written
        exchange = desk.witness.exchanges[0]
        assert (exchange.signature, exchange.answered) == (Signature.INVALID, 401)
        assert exchange.error is WireError.SIGNATURE_REJECTED
        assert not desk.down.half_closed
        assert desk.forwarder.counters.observer_crashes["verification"] == (kind is Crashing)

    run(story())


def test_thousands_of_pipelined_forgeries_do_not_nest() -> None:
    """Each is answered in a turn of its own."""

    async def story() -> None:
        desk = desk_of(VerifyMode.REJECT)
        await desk.say(LENGTH.replace(b"signed", b"forged") * 2000)
        await until(lambda: len(desk.witness.exchanges) == 2000)

        assert desk.down.written.count(b"HTTP/1.1 401 ") == 2000

    run(story())


@pytest.mark.parametrize("callback", [LENGTH, CHUNKED], ids=["length", "chunked"])
@pytest.mark.parametrize(("bound", "held"), [(6, True), (5, False)])
def test_what_is_held_is_bounded(callback: bytes, bound: int, held: bool) -> None:
    """A callback as long as the bound is held, a longer one is 413 and its connection ends."""

    async def story() -> None:
        desk = desk_of(VerifyMode.REJECT, verification_bytes_max=bound)
        await desk.say(callback)

        assert bool(desk.up.written) == held
        if not held:
            assert desk.down.written.startswith(b"HTTP/1.1 413 ")
            assert b"Sidecar-Error: BODY_TOO_LARGE\r\n" in desk.down.written
            assert desk.down.half_closed
            assert desk.witness.exchanges[0].error is WireError.BODY_TOO_LARGE

    run(story())


def test_what_is_held_of_all_callbacks_together_is_bounded() -> None:
    """One that would pass the worker's bound is 503, for its provider to try again; the others are judged."""

    async def story() -> None:
        desk = desk_of(VerifyMode.REJECT, held_bytes_max=8)
        other, answers = desk.another_caller()
        await desk.say(LENGTH[:-1])
        assert desk.forwarder.counters.held_bytes == 5
        other.data_received(LENGTH)
        assert answers.written.startswith(b"HTTP/1.1 503 ")
        assert b"Sidecar-Error: HELD_CALLBACKS\r\n" in answers.written
        assert dict(desk.side.refusals) == {Reason.HELD_CALLBACKS: 1}
        assert desk.witness.exchanges[0].error is WireError.OVER_CAPACITY
        await desk.say(LENGTH[-1:])
        await desk.answer()

        assert desk.down.written == OK
        assert desk.forwarder.counters.held_bytes == 0

    run(story())


@pytest.mark.parametrize("end", ["forged", "left", "too-long"])
def test_what_was_held_is_free_again_whatever_became_of_it(end: str) -> None:
    """Nothing leaks from the bound."""

    async def story() -> None:
        desk = desk_of(VerifyMode.REJECT, verification_bytes_max=8)
        if end == "left":
            await desk.say(LENGTH[:-1])
            assert desk.forwarder.counters.held_bytes == 5
            desk.caller.connection_lost(None)
        elif end == "forged":
            await desk.say(LENGTH.replace(b"signed", b"forged"))
        else:
            await desk.say(CHUNKED.replace(b"3\r\nned", b"9\r\n123456789"))

        assert desk.forwarder.counters.held_bytes == 0
        assert len(desk.witness.exchanges) == 1

    run(story())


def test_a_held_caller_that_waits_is_asked_for_its_body_by_us() -> None:
    """The upstream must not see the request yet, so its expectation ends here."""

    async def story() -> None:
        desk = desk_of(VerifyMode.REJECT)
        head, _, body = LENGTH.partition(b"\r\n\r\n")
        await desk.say(head + b"\r\nExpect: 100-continue\r\n\r\n")
        assert desk.down.written == b"HTTP/1.1 100 Continue\r\n\r\n"
        await desk.say(body)
        await desk.answer()

        assert b"Expect" not in desk.up.written
        assert desk.down.written.endswith(OK)

    run(story())


def test_a_remembered_head_keeps_its_expectation_for_the_next_callback() -> None:
    """Equal heads share what parsing gave; each of their senders is told to go on."""

    async def story() -> None:
        desk = desk_of(VerifyMode.REJECT)
        head = LENGTH.partition(b"\r\n\r\n")[0] + b"\r\nExpect: 100-continue\r\n\r\n"
        for _ in range(2):
            await desk.say(head)
            await desk.say(b"signed")
            await desk.answer()

        assert desk.down.written == (b"HTTP/1.1 100 Continue\r\n\r\n" + OK) * 2
        assert b"Expect" not in desk.up.written

    run(story())


def test_a_held_body_out_of_form_is_refused_and_never_sent_on() -> None:
    """The same reason and status as for one that streams by."""

    async def story() -> None:
        desk = desk_of(VerifyMode.REJECT)
        await desk.say(CHUNKED.replace(b"3\r\nned", b"x\r\nned"))

        assert b"Sidecar-Error: BAD_CHUNK\r\n" in desk.down.written
        assert dict(desk.side.refusals) == {Reason.BAD_CHUNK: 1}
        assert not desk.up.written

    run(story())


@pytest.mark.parametrize(
    ("kind", "body", "outcome"),
    [
        (ByContent, b"signed", Signature.VALID),
        (ByContent, b"forged", Signature.INVALID),
        (Crashing, b"signed", Signature.INVALID),
    ],
)
def test_observing_verifies_while_everything_passes(
    kind: type[ByContent], body: bytes, outcome: Signature
) -> None:
    """In `observe` mode the outcome is told, and the callback is forwarded whatever it is."""

    async def story() -> None:
        desk = desk_of(VerifyMode.OBSERVE, kind)
        await desk.say(LENGTH.replace(b"signed", body), 20)
        assert desk.up.written.endswith(body)
        await desk.answer()

        assert desk.down.written == OK
        assert desk.witness.exchanges[0].signature is outcome

    run(story())


@pytest.mark.parametrize("mode", list(VerifyMode))
def test_a_callback_that_asks_for_no_verification_passes(mode: VerifyMode) -> None:
    """Where the observer has nothing to verify, nothing is held and no outcome told."""

    async def story() -> None:
        desk = Desk(verify=mode)
        await desk.say(LENGTH[:-1])
        assert desk.up.written.endswith(b"signe")
        await desk.say(LENGTH[-1:])
        await desk.answer()

        assert desk.witness.exchanges[0].signature is None

    run(story())
