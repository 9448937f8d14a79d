"""What the sidecar says of itself on its admin listener: the ledger, counts and states by instance."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from domain.words import Millis
from sidecar.clock import now_ms

ANSWER_SECONDS: Final = 10.0
LATE_MS: Final = 3_600_000
"""How far a fact's own time may be from when it was recorded."""
PAGES_MAX: Final = 100


class Ledger(NamedTuple):
    """What became of the facts: observed = recorded + repeated + lost + pending."""

    observed: int = 0
    recorded: int = 0
    repeated: int = 0
    lost: int = 0
    pending: int = 0

    @property
    def balances(self) -> bool:
        """Whether every observed fact is accounted for."""
        return self.observed == self.recorded + self.repeated + self.lost + self.pending

    def __str__(self) -> str:
        sign = "=" if self.balances else "DOES NOT EQUAL"
        return (
            f"observed {self.observed} {sign} recorded {self.recorded} + repeated {self.repeated} "
            f"+ lost {self.lost} + pending {self.pending}"
        )


class Row(NamedTuple):
    """One instance: messages by type (each once, by its first report), facts by type, and its state.

    `state` is its entry of `GET /v1/instances`, empty when that list does not have it yet.
    """

    messages: Counter[str]
    facts: Counter[str]
    rate_limits: int
    state: dict[str, Any]


class Reading(NamedTuple):
    """One look at the sidecar."""

    ledger: Ledger
    rows: dict[str, Row]
    lost_by_reason: dict[str, int]


def read_metrics(text: str, states: Iterable[dict[str, Any]] = ()) -> Reading:
    """Read what `/metrics` says, beside the instance list's entries."""
    totals: Counter[str] = Counter()
    messages: defaultdict[str, Counter[str]] = defaultdict(Counter)
    facts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    limits: Counter[str] = Counter()
    lost: Counter[str] = Counter()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels, value = sample.labels, int(sample.value) if sample.value == sample.value // 1 else 0
            totals[sample.name] += value
            match sample.name:
                case "reputation_instance_messages_total":
                    messages[labels["instance_id"]][labels["type"]] += value
                case "reputation_instance_signals_total":
                    facts[labels["instance_id"]][labels["type"]] += value
                case "reputation_instance_rate_limits_total":
                    limits[labels["instance_id"]] += value
                case "reputation_signals_dropped_total" if value:
                    lost[f"{labels.get('stage', '')}: {labels.get('reason', '')}"] += value
    known = {str(state.get("instanceId")): state for state in states}
    return Reading(
        Ledger(
            totals["reputation_signals_observed_total"],
            totals["reputation_signals_total"],
            totals["reputation_signals_duplicate_total"],
            totals["reputation_signals_dropped_total"],
            totals["reputation_signals_pending"],
        ),
        {
            name: Row(messages[name], facts[name], limits[name], known.get(name, {}))
            for name in sorted({*messages, *facts, *known})
            if name in known or messages[name].total() or facts[name].total()
        },
        dict(lost),
    )


def millis(text: str) -> Millis:
    """Read an ISO-8601 time of the admin API.

    Raises:
        ValueError: it is none.
    """
    return round(datetime.fromisoformat(text).timestamp() * 1000)


class AdminReader:
    """Asks one sidecar's admin listener."""

    def __init__(self, address: str) -> None:
        self.base_url = f"http://{address}"
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS))

    async def look(self) -> Reading | None:
        """Ask once; None when it does not answer."""
        try:
            text = await self._text("/metrics")
            return read_metrics(text, await self._instances())
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
            return None

    async def stored_since(self, started_at: Millis) -> int | None:
        """Count the rows of all timelines that were recorded since then; None when it does not answer.

        The audit trail itself, counted row by row: what the metrics call recorded must equal it.
        """
        query = {"since": str(started_at - LATE_MS), "until": str(now_ms() + LATE_MS)}
        try:
            names = [str(state["instanceId"]) for state in await self._instances()]
            return sum([await self._rows_since(name, query, started_at) for name in names])
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError, KeyError):
            return None

    async def close(self) -> None:
        """Ask no more."""
        await self._session.close()

    async def _rows_since(self, instance: str, query: Mapping[str, str], started_at: Millis) -> int:
        path = f"{self.base_url}/v1/instances/{quote(instance, safe='')}/timeline"
        rows = 0
        async with self._session.get(
            path, params=query, headers={"Accept": "application/x-ndjson"}
        ) as answer:
            answer.raise_for_status()
            async for line in answer.content:
                recorded_at = json.loads(line).get("recordedAt")  # a gap's line has none
                rows += recorded_at is not None and millis(recorded_at) >= started_at
        return rows

    async def _text(self, path: str) -> str:
        async with self._session.get(self.base_url + path) as answer:
            answer.raise_for_status()
            return await answer.text()

    async def _instances(self) -> list[dict[str, Any]]:
        """Walk the instance list, at most `PAGES_MAX` pages of it."""
        entries: list[dict[str, Any]] = []
        cursor: str | None = None
        for _ in range(PAGES_MAX):
            query = {"cursor": cursor} if cursor else {}
            async with self._session.get(self.base_url + "/v1/instances", params=query) as answer:
                answer.raise_for_status()
                page = await answer.json()
            entries.extend(page["instances"])
            cursor = page["nextCursor"]
            if not cursor:
                break
        return entries
