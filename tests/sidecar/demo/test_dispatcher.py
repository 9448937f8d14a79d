"""The dispatcher simulator against the provider simulator, nothing between them."""

import asyncio
import json
import signal
import subprocess
import sys

import aiohttp

from sidecar.demo.dispatcher import DispatcherSimulator
from sidecar.demo.fates import FATES
from sidecar.demo.provider import ProviderSimulator
from tests.sidecar.demo.waiting import until

HOOK = "/webhooks/turbozap"


def test_two_simulators_tell_the_story_of_all_five_instances() -> None:
    """Every fate shows within seconds, 429, 463, lost connections, 500s, repeats; both ends agree."""

    async def scenario() -> None:
        dispatcher = DispatcherSimulator(rate=250.0, poll_seconds=0.02)
        provider = ProviderSimulator(delay_scale=0.05, retry_scale=0.01)
        provider.poster.url = f"http://{await dispatcher.start()}{HOOK}"
        dispatcher.drive(f"http://{await provider.start()}")
        posted = provider.poster.by_event
        await until(
            lambda: (
                dispatcher.answers["promo-limited", 429] > 3
                and dispatcher.answers["promo-limited", 500] > 0
                and dispatcher.answers["alerts-failing", 500] > 3
                and dispatcher.answers["store-flapping", 500] > 2
                and provider.gateway.instances["store-flapping"].qr_codes > 2
                and posted["messages.upsert"] > 5
                and dispatcher.callbacks[500] > 2
                and dispatcher.repeats > dispatcher.callbacks[500]
            ),
            seconds=20.0,
            what="every fate",
        )
        await dispatcher.quiet()
        await provider.quiet()

        assert dispatcher.answers == provider.answered
        assert not dispatcher.errors
        assert dispatcher.callbacks[200] == provider.poster.counts["posted"]
        assert dispatcher.callbacks[500] == provider.poster.counts["refused"]
        assert {name for name, _ in dispatcher.answers} == set(FATES)
        assert provider.poster.pending == 0
        await dispatcher.close()
        await provider.close()

    asyncio.run(scenario())


def test_each_refused_callback_is_taken_when_it_comes_again() -> None:
    """Every n-th new callback is answered 500 once; the same bytes are answered 200 the next time."""

    async def scenario() -> None:
        dispatcher = DispatcherSimulator(refuse_every=2)
        url = f"http://{await dispatcher.start()}{HOOK}"
        statuses = []
        async with aiohttp.ClientSession() as session:
            for body in (b"1", b"2", b"2", b"3", b"4", b"4", b"4"):
                async with session.post(url, data=body) as answer:
                    statuses.append(answer.status)
        await dispatcher.close()

        assert statuses == [200, 500, 200, 200, 500, 200, 200]
        assert dispatcher.repeats == 3

    asyncio.run(scenario())


def test_a_provider_that_is_away_is_counted_and_asked_again() -> None:
    """Calls without an answer are counted by instance and error; driving goes on and ends when told."""

    async def scenario() -> None:
        dispatcher = DispatcherSimulator(rate=200.0, instances=("a", "b"))
        await dispatcher.start()
        dispatcher.drive("http://127.0.0.1:1")
        await until(lambda: {name for name, _ in dispatcher.errors} == {"a", "b"})
        await dispatcher.close()

        assert not dispatcher.answers

    asyncio.run(scenario())


def test_both_simulators_are_commands_that_talk_and_end_on_sigterm() -> None:
    """Each announces its address in one JSON line, and ends with exit code 0 and its counts."""

    def announced(process: subprocess.Popen[str]) -> dict[str, object]:
        assert process.stdout is not None
        line: dict[str, object] = json.loads(process.stdout.readline())
        return line

    def command(module: str, *arguments: str) -> subprocess.Popen[str]:
        line = [sys.executable, "-m", f"sidecar.demo.{module}", "--listen", "127.0.0.1:0", *arguments]
        return subprocess.Popen(line, stdout=subprocess.PIPE, text=True)

    with command("provider") as provider:
        ready = announced(provider)
        with command("dispatcher", "--url", f"http://{ready['listen']}", "--rate", "100") as dispatcher:
            assert announced(dispatcher)["event"] == "dispatcher_ready"
            dispatcher.send_signal(signal.SIGTERM)
            stopped = announced(dispatcher)
            assert dispatcher.wait(15) == 0
        provider.send_signal(signal.SIGTERM)
        assert announced(provider)["event"] == "provider_stopped"
        assert provider.wait(15) == 0

    assert ready["event"] == "provider_ready"
    assert stopped["event"] == "dispatcher_stopped"
    assert stopped["errors"] == 0
