"""Cursors over the real store: they survive what arrives in between, and nothing else passes for one."""

import base64
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.record_signal import RecordReputationSignal, Slice
from domain.recorded import Progress
from domain.signal import Signal
from domain.words import SignalType, Source
from exporters.sql.store import SqlStore
from sidecar.api.cursor import fingerprint
from tests.sidecar.api.fleet import exchange
from tests.sidecar.api.serving import NOW, Admin, admin, run

names = count()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqlStore]:
    """A store; each story records to an instance of its own."""
    path: Path = tmp_path_factory.mktemp("cursors")
    made = SqlStore(f"sqlite:///{path}/store.db", sidecar_id="test")
    made.open()
    yield made
    made.close()


def record(store: SqlStore, instance: str, times: list[int]) -> list[str]:
    """Record a signal at each of these times before now; give their ids."""
    begun = next(names)
    signals = [
        Signal(SignalType.MESSAGE_SENT, Source.DISPATCH, instance, NOW - ago, basis=f"{begun}-{n}")
        for n, ago in enumerate(times)
    ]
    recorded = RecordReputationSignal(store)([Slice(Progress("w0"), [exchange(f"x{begun}", signals)])], NOW)
    return [row.id for row in recorded.signals]


AGES = st.lists(st.integers(0, 20), max_size=12)


@given(
    first=st.lists(st.integers(0, 20), min_size=1, max_size=30),
    arriving=st.lists(AGES, max_size=6),
    limit=st.integers(1, 7),
    order=st.sampled_from(["asc", "desc"]),
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_walk_shows_what_was_there_once_in_order_whatever_arrives(
    store: SqlStore, first: list[int], arriving: list[list[int]], limit: int, order: str
) -> None:
    """Signals of the first page's moment appear exactly once; later ones at most once; the order holds."""
    instance = f"walk-{next(names)}"
    there = record(store, instance, first)
    batches = iter(arriving)

    async def story() -> list[dict[str, Any]]:
        seen: list[dict[str, Any]] = []
        target = f"/v1/instances/{instance}/timeline?since={NOW - 20}&order={order}&limit={limit}"
        async with admin(store) as api:
            cursor = ""
            while True:
                page = (await api.get(target + cursor)).json
                seen += page["signals"]
                if page["nextCursor"] is None:
                    return seen
                cursor = f"&cursor={page['nextCursor']}"
                record(store, instance, next(batches, []))

    seen = run(story)

    ids = [signal["id"] for signal in seen]
    assert len(ids) == len(set(ids))
    assert set(there) <= set(ids)
    times = [signal["occurredAt"] for signal in seen]
    assert times == sorted(times, reverse=order == "desc")


async def _cursor(api: Admin, instance: str) -> str:
    page = (await api.get(f"/v1/instances/{instance}/timeline?limit=1")).json
    return str(page["nextCursor"])


@given(at=st.integers(0, 200), letter=st.sampled_from("AZaz09-_"), cut=st.integers(0, 60))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_changed_cursor_is_refused_or_is_a_cursor_of_the_same_question(
    store: SqlStore, at: int, letter: str, cut: int
) -> None:
    """Cut, padded or altered: 400 with its field, never a fault, never the rows of another instance."""
    instance = f"tampered-{next(names)}"
    record(store, instance, [1, 2, 3])

    async def story() -> list[tuple[int, Any]]:
        async with admin(store) as api:
            cursor = await _cursor(api, instance)
            place = at % len(cursor)
            changed = cursor[:place] + letter + cursor[place + 1 :]
            tried = [changed, cursor[: cut % len(cursor)] or "x", cursor + letter, letter + cursor]
            target = f"/v1/instances/{instance}/timeline?limit=1&cursor="
            replies = [await api.get(target + one) for one in tried if one != cursor]
            return [(reply.status, reply.json if reply.status == 200 else reply.problem) for reply in replies]

    for status, answer in run(story):
        if status == 200:
            assert {signal["instanceId"] for signal in answer["signals"]} <= {instance}
        else:
            assert answer == (400, "bad_cursor", "cursor")


@pytest.mark.parametrize(
    "key",
    [
        b'["F", [1, 2, 253402300800000, 1]]',
        b'["F", [1.5, 2, 3, 4]]', b'["F", [true, 2, 3, 4]]',
        b"[]", b"{}", b"null", b"1", b'["x"]', b'["x", [1, 2, 3, 4]]', b"[" * 2000,
        b'["' + b"a" * 700 + b'"]',
        b'["F", [1, 2, 3]]', b'["F", [1, 2, 3, "4"]]', b'["F", [1e999, 2, 3, 4]]', b'["F", [-1, 2, 3, 4]]',
        b'["F", [99999999999999999999, 2, 3, 4]]', b'["F", [1, 2, 3, 9223372036854775808]]', b"\xff\xfe",
    ],
)  # fmt: skip
def test_a_forged_cursor_is_refused(store: SqlStore, key: bytes) -> None:
    """Whatever stands inside, even behind the fingerprint of the question, is checked before it is used."""
    instance = f"forged-{next(names)}"
    record(store, instance, [1, 2, 3])

    async def story() -> tuple[int, str, str | None]:
        async with admin(store) as api:
            real = await _cursor(api, instance)
            fingerprint = base64.urlsafe_b64decode(real + "=" * (-len(real) % 4))[2:14]
            forged = base64.urlsafe_b64encode(key.replace(b"F", fingerprint)).rstrip(b"=").decode()
            return (await api.get(f"/v1/instances/{instance}/timeline?cursor={forged}")).problem

    problem = run(story)

    assert problem[0] == 400
    assert problem[2] == "cursor"


@pytest.mark.parametrize(
    ("target", "key"),
    [
        ("/v1/instances?limit=1", b'["F", ["\\u0000"]]'),
        ("/v1/instances?limit=1", b'["F", "' + b"a" * 129 + b'"]'),
        ("/v1/instances?limit=1", b'["F", [1]]'),
        ("/v1/annotations?limit=1", b'["F", [0, 1, "\\u0000"]]'),
    ],
)
def test_a_forged_instance_in_a_cursor_reaches_no_database(store: SqlStore, target: str, key: bytes) -> None:
    """A NUL or an endless id would be a fault in PostgreSQL; here it is none of our cursors."""
    asked = fingerprint("annotations", None) if "annotations" in target else fingerprint("instances")
    forged = base64.urlsafe_b64encode(key.replace(b"F", asked.encode())).rstrip(b"=").decode()

    async def story() -> tuple[int, str, str | None]:
        async with admin(store) as api:
            route = target.partition("?")[0]
            return (await api.get(f"{route}?cursor={forged}")).problem

    assert run(story) == (400, "bad_cursor", "cursor")
