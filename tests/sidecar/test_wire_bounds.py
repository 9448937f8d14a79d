"""The wire's bounds: the contract's defaults, and each setting where it belongs."""

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


@pytest.mark.parametrize(
    ("setting", "value", "bound", "expected"),
    [
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
    ],
)
def test_each_setting_moves_its_own_bound(setting: str, value: int, bound: str, expected: float) -> None:
    """And one that allows a larger callback allows to hold it."""
    settings = msgspec.structs.replace(Settings(provider_url="http://gateway"), **{setting: value})

    limits = limits_of(settings)

    assert getattr(limits, bound) == expected
