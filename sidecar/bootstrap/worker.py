"""Builds a wire worker."""

import itertools
import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from domain.ingest_signal import IngestReputationSignal
from domain.redaction import Redactor, RemoteJidMode
from domain.words import Direction
from sidecar import providers
from sidecar.clock import now_ms
from sidecar.data_dir import DataDir
from sidecar.exchange import Copier, Headers
from sidecar.journal.writer import JournalWriter
from sidecar.observation import COPY_FIELDS, TapCopier
from sidecar.observer import RouteReading, TrafficObserver
from sidecar.open_files import connections_within
from sidecar.providers import codes
from sidecar.settings import RouteSettings, Settings
from sidecar.wire import Counters, Forwarder, Limits, Route, Upstream, VerifyMode, listener_tls
from sidecar.worker import Worker

COPIERS_MAX: Final = 256
"""Makers of copies remembered; then all are forgotten at once, which costs making each again."""

_VERIFY: Final = {"observe": VerifyMode.OBSERVE, "reject": VerifyMode.REJECT}


def build_worker(settings: Settings, sockets: Mapping[str, socket.socket], index: int) -> Worker:
    """Wire a worker together; call it inside the running loop.

    Args:
        settings: judged settings.
        sockets: listening sockets by route name.
        index: number of the worker.
    """
    data = DataDir(settings.data_dir)
    table = codes.load(Path(settings.codes_file) if settings.codes_file else None)
    redactor = Redactor(RemoteJidMode(settings.remote_jid), data.pseudonym_key(settings.pseudonym_key))
    journal = JournalWriter(
        data.path, index, max_bytes=settings.journal_max_bytes, sync_ms=settings.journal_sync_ms
    )
    secret = settings.webhook_secret.encode() if settings.webhook_secret else None
    routes = settings.all_routes()
    observer = TrafficObserver(
        {route.name: RouteReading(providers.reader(route.provider, table), secret) for route in routes},
        IngestReputationSignal(redactor, table.known),
        journal,
        exchange_ids(index),
        body_copies(settings),
    )
    limits, counters = limits_of(settings), Counters()
    fitting = connections_within(limits.connections_max, limits.overflow_max)
    limits = replace(limits, connections_max=fitting)
    forwarders = [
        (Forwarder(wire_route(route, settings), limits, observer, counters), sockets[route.name])
        for route in routes
    ]
    return Worker(forwarders, journal, counters)


def exchange_ids(index: int) -> Callable[[], str]:
    """Give ids unique over workers and restarts: start time, process, worker, running number."""
    prefix = f"{now_ms():x}-{os.getpid():x}-{index:x}-"
    numbers = itertools.count()
    return lambda: f"{prefix}{next(numbers):x}"


def body_copies(settings: Settings) -> Callable[[Headers], Copier]:
    """Give a maker of makers of bounded body copies, which remembers those of the usual fields."""
    made: dict[tuple[tuple[bytes, bytes], ...], Copier] = {}

    def copier_of(headers: Headers) -> Copier:
        counting = tuple(pair for pair in headers if pair[0].lower() in COPY_FIELDS)
        copier = made.get(counting)
        if copier is None:
            copier = TapCopier(
                list(counting),
                copy_max=settings.observe_max_bytes,
                string_max=settings.observe_string_max_bytes,
                ratio_max=settings.decode_ratio_max,
            )
            if len(made) >= COPIERS_MAX:
                made.clear()
            made[counting] = copier
        return copier

    return copier_of


def limits_of(settings: Settings) -> Limits:
    """Turn the settings' bounds into the wire's."""
    return Limits(
        head_bytes_max=settings.head_max_bytes,
        fields_max=settings.head_fields_max,
        head_seconds=settings.head_arrival_ms / 1000,
        idle_seconds=settings.idle_ms / 1000,
        connect_seconds=settings.connect_timeout_ms / 1000,
        response_head_seconds=settings.head_timeout_ms / 1000,
        reuse_seconds=settings.upstream_idle_ms / 1000,
        high_water_bytes=settings.buffer_bytes,
        connections_max=settings.max_connections,
        verification_bytes_max=settings.webhook_body_max_bytes,
        # A callback that alone may be held is: together they may then weigh as much as it.
        held_bytes_max=max(settings.held_max_bytes, settings.webhook_body_max_bytes),
        chunk_line_bytes_max=settings.chunk_line_max_bytes,
        chunk_overhead_bytes_max=settings.chunk_overhead_max_bytes,
        interim_max=settings.interim_answers_max,
        overflow_max=settings.overflow_connections_max,
        pool_max=settings.pool_connections_max,
        orphan_seconds=settings.orphan_ms / 1000,
        linger_seconds=settings.linger_ms / 1000,
        linger_bytes_max=settings.linger_max_bytes,
        release_seconds=settings.release_ms / 1000,
        drain_idle_seconds=settings.drain_idle_ms / 1000,
    )


def wire_route(route: RouteSettings, settings: Settings) -> Route:
    """Turn a route's settings into the wire's route."""
    verifies = route.direction is Direction.WEBHOOK and settings.webhook_secret
    tls = None
    if route.tls_cert_file and route.tls_key_file:
        tls = listener_tls(route.tls_cert_file, route.tls_key_file)
    return Route(
        name=route.name,
        direction=route.direction,
        upstream=Upstream.parse(route.upstream, ca_file=route.upstream_ca_file),
        verify_mode=_VERIFY[settings.webhook_verify] if verifies else VerifyMode.OFF,
        tls=tls,
    )
