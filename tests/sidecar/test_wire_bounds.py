"""The wire's bounds: the contract's defaults, and each setting where it belongs."""

import dataclasses

import msgspec
import pytest

from sidecar.bootstrap.worker import limits_of
from sidecar.settings import Settings
from sidecar.wire import Limits


def test_the_defaults_are_the_contracts() -> None:
    """Design section 5, by its numbers; what no setting names keeps the wire's own default."""
    limits = limits_of(Settings(provider_url="http://gateway"))

    assert limits == Limits()
    assert (limits.head_bytes_max, limits.fields_max) == (32 << 10, 128)
    assert (limits.head_seconds, limits.idle_seconds) == (10, 75)
    assert (limits.connect_seconds, limits.response_head_seconds) == (5, 0)
    assert (limits.reuse_seconds, limits.high_water_bytes) == (4, 64 << 10)
    assert (limits.connections_max, limits.verification_bytes_max) == (2048, 16 << 20)


MOVES = [
    ("head_max_bytes", 2000, "head_bytes_max", 2000),
    ("head_fields_max", 9, "fields_max", 9),
    ("head_arrival_ms", 1500, "head_seconds", 1.5),
    ("idle_ms", 2500, "idle_seconds", 2.5),
    ("connect_timeout_ms", 300, "connect_seconds", 0.3),
    ("head_timeout_ms", 700, "response_head_seconds", 0.7),
    ("upstream_idle_ms", 900, "reuse_seconds", 0.9),
    ("buffer_bytes", 8192, "high_water_bytes", 8192),
    ("max_connections", 7, "connections_max", 7),
    ("webhook_body_max_bytes", 1 << 29, "verification_bytes_max", 1 << 29),
    ("webhook_body_max_bytes", 1 << 29, "held_bytes_max", 1 << 29),
    ("held_max_bytes", 1 << 30, "held_bytes_max", 1 << 30),
    ("chunk_line_max_bytes", 99, "chunk_line_bytes_max", 99),
    ("chunk_overhead_max_bytes", 999, "chunk_overhead_bytes_max", 999),
    ("interim_answers_max", 3, "interim_max", 3),
    ("overflow_connections_max", 4, "overflow_max", 4),
    ("pool_connections_max", 5, "pool_max", 5),
    ("orphan_ms", 1100, "orphan_seconds", 1.1),
    ("linger_ms", 1200, "linger_seconds", 1.2),
    ("linger_max_bytes", 77, "linger_bytes_max", 77),
    ("release_ms", 1300, "release_seconds", 1.3),
    ("drain_idle_ms", 1400, "drain_idle_seconds", 1.4),
]


@pytest.mark.parametrize(("setting", "value", "bound", "expected"), MOVES)
def test_each_setting_moves_its_own_bound(setting: str, value: int, bound: str, expected: float) -> None:
    """And one that allows a larger callback allows to hold it."""
    settings = msgspec.structs.replace(Settings(provider_url="http://gateway"), **{setting: value})

    limits = limits_of(settings)

    assert getattr(limits, bound) == expected


def test_every_bound_of_the_wire_is_named_in_configuration() -> None:
    """But for how often timeouts are looked at, which bounds nothing."""
    moved = {bound for _, _, bound, _ in MOVES}

    assert moved == {field.name for field in dataclasses.fields(Limits)} - {"sweep_seconds"}
