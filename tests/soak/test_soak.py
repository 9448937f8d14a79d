"""The reliability suite in its short form; `make soak` runs it for minutes or hours."""

import asyncio
from pathlib import Path

import pytest

from tests.soak.run import Plan, Soak

pytestmark = pytest.mark.slow
SHORT = Plan(seconds=8, phase_seconds=0.8, connections=4, slow=60, opened=300, instances=400, bombs=6)


def test_mixed_load_faults_in_turn_and_hostile_peers_cost_no_byte_and_no_fact(tmp_path: Path) -> None:
    """Every message arrives as it was sent, every answered send is recorded, the ledger balances."""
    soak = Soak(SHORT, tmp_path, {"head_arrival_ms": "1500"}, lambda _: None)

    checks = asyncio.run(soak.run())

    assert [check for check in checks if not check.held] == []
    assert soak.book.answers["dispatch", "200"] > 100
    assert soak.book.answers["webhook", "200"] > 100
    assert f"slow heads closed on their peers: {SHORT.slow} of {SHORT.slow}" in soak.peers
    assert f"left open and closed on their peers: {SHORT.opened} of {SHORT.opened}" in soak.peers
    assert "takeover: the old one ended with 0" in soak.peers
