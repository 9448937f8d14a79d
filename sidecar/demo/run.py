"""`sidecar demo`: both simulators with the sidecar between them, a live table, and a ledger at the end."""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple

from rich.console import Console

from sidecar.clock import monotonic_ns, now_ms
from sidecar.data_dir import DataDirError
from sidecar.demo.child import SidecarChild, SidecarFailedError
from sidecar.demo.dispatcher import DispatcherSimulator
from sidecar.demo.fates import FATES
from sidecar.demo.provider import ProviderSimulator
from sidecar.demo.reading import AdminReader, Reading
from sidecar.demo.serving import stop_on_signals
from sidecar.demo.summary import Ends, summarize
from sidecar.demo.table import Display

LOOK_SECONDS: Final = 0.5
SETTLE_SECONDS: Final = 20.0
"""How long the end waits until the sidecar has recorded everything."""
RETRY_SCALE: Final = 0.2
"""Shortens the provider's retries, so that a short demo shows them."""
PLAIN_WIDTH: Final = 160
CALLBACK_PATH: Final = "/webhooks/turbozap"


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """What may be chosen about a demo.

    Attributes:
        duration_seconds: how long traffic flows; None until SIGINT or SIGTERM.
        seed: decides what is sent and what befalls whom.
        rate: calls a second of the dispatcher, all instances together.
        data_dir: kept afterwards; None uses a temporary one.
        admin_listen: where to serve table, metrics and page; a fixed port is easier to open in a browser.
        settings: further settings of the sidecar by name, such as `otlp` ones in the environment.
        inherited: environment to pass on to the sidecar, without its own `SIDECAR_*`.
    """

    duration_seconds: float | None = None
    seed: int = 1
    rate: float = 12.0
    data_dir: Path | None = None
    admin_listen: str = "127.0.0.1:0"
    settings: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    inherited: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


class _Parts(NamedTuple):
    """What runs: the three parties and the reader that watches the middle one."""

    provider: ProviderSimulator
    dispatcher: DispatcherSimulator
    sidecar: SidecarChild
    reader: AdminReader


Told = Callable[[Reading | None, int | None, list[str]], object]
"""Takes the last reading, the rows of all timelines, and what is wrong."""


async def run_demo(
    options: DemoOptions, console: Console | None = None, told: Told = lambda _reading, _rows, _problems: None
) -> int:
    """Run the demo until its time is over or a signal comes; `told` hears how it ended.

    Gives 0 when the ledger balances with nothing pending, both ends agree with what they saw, and the
    sidecar ended well; 1 otherwise.
    """
    console = console or _console()
    started_at = now_ms()
    stop = stop_on_signals()
    with _data_dir(options.data_dir) as data_dir:
        try:
            async with _running(options, data_dir) as parts:
                _lead_in(console, data_dir, options)
                await _watch(options, parts, console, stop)
                reading = await _settle(parts)
                stored = await parts.reader.stored_since(started_at)
                code = await parts.sidecar.stop()
                ends = Ends.of(parts.dispatcher, parts.provider)
        except SidecarFailedError as error:
            console.print(str(error), style="red", markup=False, soft_wrap=True)
            told(None, None, [str(error)])
            return 1
        problems = summarize(console, reading, stored, ends, code)
        told(reading, stored, problems)
        for problem in problems:
            console.print(problem, style="red", markup=False, soft_wrap=True)
        if problems:
            for line in parts.sidecar.tail:
                console.print(line, markup=False, highlight=False, soft_wrap=True)
    return 1 if problems else 0


def _console() -> Console:
    """Write to stdout; where that is no terminal, lines are as wide as the table needs."""
    console = Console()
    return console if console.is_terminal else Console(width=PLAIN_WIDTH)


@contextlib.contextmanager
def _data_dir(wanted: Path | None) -> Iterator[Path]:
    if wanted is not None:
        wanted.mkdir(mode=0o700, parents=True, exist_ok=True)
        yield wanted
        return
    try:
        temporary = tempfile.TemporaryDirectory(prefix="sidecar-demo-")
    except OSError as error:
        raise DataDirError(
            "no temporary directory can be written for the demo; name one with --data-dir, or set TMPDIR"
        ) from error
    with temporary as made:
        yield Path(made)


@contextlib.asynccontextmanager
async def _running(options: DemoOptions, data_dir: Path) -> AsyncIterator[_Parts]:
    """Start from the ends to the middle, close the other way round."""
    async with contextlib.AsyncExitStack() as stack:
        dispatcher = DispatcherSimulator(seed=options.seed, rate=options.rate)
        stack.push_async_callback(dispatcher.close)
        provider = ProviderSimulator(seed=options.seed, retry_scale=RETRY_SCALE)
        stack.push_async_callback(provider.close)
        dispatcher_address = await dispatcher.start()
        provider_address = await provider.start()
        settings = {
            "provider": "turbozap",
            "provider_url": f"http://{provider_address}",
            "dispatcher_url": f"http://{dispatcher_address}",
            "dispatch_listen": "127.0.0.1:0",
            "webhook_listen": "127.0.0.1:0",
            "admin_listen": options.admin_listen,
            "data_dir": str(data_dir),
            "log_format": "json",
            **options.settings,
        }
        sidecar = SidecarChild(settings, options.inherited, data_dir / "sidecar.log")
        stack.push_async_callback(sidecar.stop)
        listeners = await sidecar.start()
        reader = AdminReader(listeners["admin"])
        stack.push_async_callback(reader.close)
        provider.poster.url = f"http://{listeners['webhook']}{CALLBACK_PATH}"
        dispatcher.drive(f"http://{listeners['dispatch']}")
        yield _Parts(provider, dispatcher, sidecar, reader)


def _lead_in(console: Console, data_dir: Path, options: DemoOptions) -> None:
    kept = "kept" if options.data_dir else "removed at the end"
    console.print(f"data and log: {data_dir} ({kept}); seed {options.seed}", soft_wrap=True, highlight=False)
    for name, fate in FATES.items():
        console.print(f"  {name} {fate.story}", highlight=False)


async def _watch(options: DemoOptions, parts: _Parts, console: Console, stop: asyncio.Event) -> None:
    """Show what the sidecar says until the time is over, a signal comes, or it dies."""
    base_url = parts.reader.base_url
    urls = {
        "page": f"{base_url}/",
        "timeline": f"{base_url}/v1/instances/{next(iter(FATES))}/timeline",
        "instances": f"{base_url}/v1/instances",
        "metrics": f"{base_url}/metrics",
    }
    display = Display(console, urls)
    began_ns = monotonic_ns()
    try:
        while not stop.is_set() and parts.sidecar.alive:
            elapsed_s = (monotonic_ns() - began_ns) / 1e9
            if options.duration_seconds is not None and elapsed_s >= options.duration_seconds:
                return
            display.show(await parts.reader.look(), now_ms(), elapsed_s)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), LOOK_SECONDS)
    finally:
        display.close()


async def _settle(parts: _Parts) -> Reading | None:
    """Let the traffic end, then wait until nothing is pending; give the last reading."""
    await parts.dispatcher.quiet()
    await parts.provider.quiet()
    deadline_ns = monotonic_ns() + int(SETTLE_SECONDS * 1e9)
    reading = None
    while parts.sidecar.alive and monotonic_ns() < deadline_ns:
        looked = await parts.reader.look()
        if looked is not None and looked == reading and not looked.ledger.pending:
            break  # twice the same with nothing pending: it has settled
        reading = looked or reading
        await asyncio.sleep(LOOK_SECONDS / 2)
    return reading
