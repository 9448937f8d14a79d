"""The simulated gateway behind the provider's routes: its instances, what they are, what they call back.

A send's outcome is drawn by its number (`fates`), so the story depends on the seed alone. Times scale with
`delay_scale`, retries of callbacks with the poster's own factor.
"""

import asyncio
from collections.abc import Callable
from typing import Final, NamedTuple

from domain.words import Millis
from sidecar.clock import now_ms
from sidecar.demo import turbozap
from sidecar.demo.callbacks import CallbackPoster
from sidecar.demo.fates import FATES, HEALTHY, Fate, Outcome, outcome

INSTANCES_MAX: Final = 1000
TIMERS_MAX: Final = 10_000
"""State changes that wait; one too many is left out, so a flood of connects stays bounded."""

QR_AFTER_SECONDS: Final = 0.3
CONNECTED_AFTER_SECONDS: Final = 1.2
LOST_AFTER_SECONDS: Final = 0.05


class Instance:
    """One connected number, or one that should be.

    Attributes:
        state: `connected`, `connecting`, `qrcode`, `disconnected`.
        sends: calls that tried to send, accepted or not; numbers the next outcome.
    """

    def __init__(self, name: str, fate: Fate) -> None:
        self.name = name
        self.fate = fate
        self.state = "disconnected"
        self.sends = 0
        self.connects = 0
        self.qr_codes = 0


class Sent(NamedTuple):
    """What the gateway does with one send; `message_id` is set when it accepts."""

    outcome: Outcome
    message_id: str | None


class Gateway:
    """All instances of one simulated provider."""

    def __init__(self, poster: CallbackPoster, *, seed: int, run: str, delay_scale: float = 1.0) -> None:
        """Hold the five instances of the demo.

        Args:
            poster: takes the callbacks.
            seed: decides what befalls whom.
            run: makes message ids unique to this run; facts of two runs in one store must not be repeats.
            delay_scale: stretches or shrinks every wait.
        """
        self.instances = {name: Instance(name, fate) for name, fate in FATES.items()}
        self.delay_scale = delay_scale
        self._poster = poster
        self._seed = seed
        self._run = run
        self._timers: set[asyncio.TimerHandle] = set()

    def create(self, name: str) -> Instance | None:
        """Add a healthy instance, or give the one of that name; None when there are too many."""
        if name not in self.instances and len(self.instances) >= INSTANCES_MAX:
            return None
        return self.instances.setdefault(name, Instance(name, HEALTHY))

    def close(self) -> None:
        """Forget every state change that waits."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()

    def connect(self, instance: Instance) -> bool:
        """Begin to connect: a QR code, the first announced twice as by the real gateway, then the connection.

        False when the gateway fails to.
        """
        instance.connects += 1
        every = instance.fate.connect_fails_every
        if every and instance.connects % every == 0:
            return False
        if instance.state in {"connecting", "qrcode"}:
            return True
        instance.state = "connecting"
        self._later(QR_AFTER_SECONDS, lambda: self._show_qr(instance))
        return True

    def disconnect(self, instance: Instance, word: str = "disconnected") -> None:
        """Lose the connection; `word` is what the callback says: `disconnected` or `logged_out`."""
        instance.state = "disconnected"
        self._call_back(instance, "connection.update", {"status": word})

    def send(self, instance: Instance, kind: str, recipient: str) -> Sent:
        """Take one send of an instance that is connected, and let its receipts come."""
        number = instance.sends
        instance.sends += 1
        fared = outcome(self._seed, instance.name, instance.fate, number)
        if fared.refusal is not None:
            return Sent(fared, None)
        message = turbozap.message_id("3EB0", self._run, instance.name, number)
        self._let_live(instance, fared, message, kind, turbozap.chat_of(recipient))
        return Sent(fared, message)

    def _let_live(self, instance: Instance, fared: Outcome, message: str, kind: str, chat: str) -> None:
        at = now_ms()
        self._call_back(instance, "send.message", turbozap.echo(instance.name, message, chat, kind, at))
        heard = 2 if chat.endswith("@g.us") else 1  # in a group each participant sends one
        # Receipts of reactions are left out: a demo that delivers more than it sent only puzzles.
        for receipt in fared.receipts if kind != "reaction" else ():
            after_s = receipt.after_s * self.delay_scale
            data = turbozap.receipt(message, chat, receipt.status, at + round(after_s * 1000))
            for event in ("message.ack", "messages.update") * heard:
                self._call_back(instance, event, data, after_s)
        if fared.reply_after_s is not None and kind != "reaction":
            after_s = fared.reply_after_s * self.delay_scale
            answer = turbozap.message_id("3AF0", self._run, instance.name, "reply", message)
            data = turbozap.reply(answer, chat, message, at + round(after_s * 1000))
            self._call_back(instance, "messages.upsert", data, after_s)
        if fared.connection_lost:
            self._later(LOST_AFTER_SECONDS, lambda: self.disconnect(instance))

    def _show_qr(self, instance: Instance) -> None:
        if instance.state != "connecting":
            return
        instance.state = "qrcode"
        instance.qr_codes += 1
        code = turbozap.qr_code(instance.name, instance.qr_codes)
        for _ in range(2 if instance.qr_codes == 1 else 1):
            self._call_back(instance, "qrcode.updated", code)
        self._later(CONNECTED_AFTER_SECONDS, lambda: self._connected(instance))

    def _connected(self, instance: Instance) -> None:
        if instance.state != "qrcode":
            return
        instance.state = "connected"
        self._call_back(instance, "connection.update", {"status": "connected"})

    def _call_back(
        self, instance: Instance, event: str, data: dict[str, object] | dict[str, str], after_s: float = 0.0
    ) -> None:
        at: Millis = now_ms() + round(after_s * 1000)
        self._poster.post(
            turbozap.callback(event, instance.name, data, at, as_base64=instance.fate.as_base64), after_s
        )

    def _later(self, seconds: float, act: Callable[[], None]) -> None:
        if len(self._timers) >= TIMERS_MAX:
            return

        def fire() -> None:
            self._timers.discard(timer)
            act()

        timer = asyncio.get_running_loop().call_later(seconds * self.delay_scale, fire)
        self._timers.add(timer)
