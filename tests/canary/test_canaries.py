"""Nothing sensitive leaves: marked secrets in every place the notes name, searched in all that comes out.

Real sidecars as processes between real sockets; three of them, because a signature is checked in two modes
and because the search must be seen to find what `SIDECAR_REMOTE_JID=plain` lets pass.
"""

import base64
import json
import re
import urllib.parse
from collections.abc import Iterable
from typing import Final, NamedTuple

import pytest

from tests.canary.household import CRASHING, PROVIDERS, Household, Sink, household
from tests.canary.markers import CANARIES, NEEDLES, PHONE, Hit, forms, hits
from tests.canary.traffic import Shot, callbacks, calls

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

INSTANCES: Final = {
    "turbozap": "tz-1",
    "evolution": "evo-1",
    "waha": "waha-1",
    "cloud_api": "106540352242922",
}


class Told(NamedTuple):
    """What one sidecar gave away, and what shows that it had something to give."""

    sinks: list[Sink]
    metrics: dict[str, float]
    sent: int

    def sum(self, name: str, **labels: str) -> float:
        """Sum a metric over the series that have these labels."""
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        return sum(
            value
            for series, value in self.metrics.items()
            if series.startswith(name + "{") and all(label in series for label in wanted)
        )

    def of(self, pattern: str) -> bytes:
        """Everything of the sinks whose names match."""
        return b"\n".join(sink.data for sink in self.sinks if re.search(pattern, sink.name))


def told(house: Household, shots: Iterable[tuple[str, Shot]]) -> Told:
    """Send the traffic, collect everything; the sidecar is stopped afterwards."""
    house.listen_to_the_stream()
    for provider, shot in shots:
        house.fire(provider, shot)
    house.collect_files("before all is recorded")
    house.sidecar.settled()
    house.collect_api(list(INSTANCES.values()))
    house.collect_files("when all is recorded")
    house.collect_support(INSTANCES["turbozap"])
    house.receiver.wait(lambda: bool(house.receiver.logs and house.receiver.spans))
    metrics = house.sidecar.metrics()
    assert house.sidecar.stop() == 0
    house.collect_files("at the end")
    house.collect_the_rest()
    return Told(house.sinks, metrics, house.sent)


def crashes() -> list[tuple[str, Shot]]:
    """Traffic of the reader that crashes with all it was given in its error."""
    return [(CRASHING, s) for s in [*list(calls("turbozap"))[::20], *list(callbacks("turbozap"))[::20]]]


@pytest.fixture(scope="module")
def observed(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """All traffic through a sidecar that forwards callbacks with bad signatures."""
    shots = [(name, shot) for name in PROVIDERS for shot in [*calls(name), *callbacks(name)]]
    with household(tmp_path_factory.mktemp("observe"), "observe") as house:
        return told(house, shots + crashes())


@pytest.fixture(scope="module")
def rejected(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """All callbacks through a sidecar that refuses those with bad signatures."""
    with household(tmp_path_factory.mktemp("reject"), "reject") as house:
        return told(house, [(name, shot) for name in PROVIDERS for shot in callbacks(name)] + crashes())


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """A few exchanges through a sidecar that was told to keep chat ids and message ids."""
    shots = [
        (name, shot) for name in PROVIDERS for shot in [*list(calls(name))[::4], *list(callbacks(name))[:40]]
    ]
    with household(tmp_path_factory.mktemp("plain"), "observe", remote_jid="plain") as house:
        return told(house, shots)


def test_nothing_sensitive_comes_out_of_a_sidecar_that_observes_signatures(observed: Told) -> None:
    """In no output, file, answer, page or traceback, in no spelling, whatever went wrong on the way."""
    assert hits(observed.sinks) == []


def test_nothing_sensitive_comes_out_of_a_sidecar_that_rejects_signatures(rejected: Told) -> None:
    """A callback held back for its signature leaves as little as one that was forwarded."""
    assert hits(rejected.sinks) == []


@pytest.mark.parametrize("provider", PROVIDERS)
def test_every_provider_had_much_to_tell(observed: Told, provider: str) -> None:
    """The search is not empty-handed: signals of each reader, and drift, faults and refusals beside them."""
    assert observed.sum("reputation_signals_total", provider=provider) > 100
    assert observed.sum("reputation_unknown_names_total", provider=provider) > 5
    assert observed.sum("reputation_webhook_signatures_total", provider=provider, outcome="invalid") >= 5
    assert observed.sum("reputation_webhook_signatures_total", provider=provider, outcome="missing") >= 5


def test_everything_that_can_go_wrong_did(observed: Told, rejected: Told) -> None:
    """Each way to fail was taken, and each of our own answers was looked at."""
    pages = observed.of("error pages") + rejected.of("error pages")
    seen = set(re.findall(rb"(?i)sidecar-error: ([A-Z_]+)", pages))

    assert {
        b"NETWORK_ERROR", b"TIMEOUT", b"BAD_RESPONSE", b"BAD_CHUNK", b"SIGNATURE_REJECTED",
        b"BODY_TOO_LARGE",
    } <= seen, seen  # fmt: skip
    for reason in ("cut", "undecodable"):
        assert observed.sum("reputation_bodies_unobserved_total", reason=reason) >= 5
    assert observed.sum("reputation_signals_dropped_total", reason="observer_crash") >= 10
    for told_of in (observed, rejected):
        assert told_of.of("stdout").count(b'"observer.crashed"') >= 5


def test_each_place_shows_what_may_be_shown(observed: Told) -> None:
    """Every place that could leak is reached by real traffic: the instances' names are there."""
    for place in (
        r"^stdout", r"^file .*\.seg", r"^file reputation\.sqlite$", r"^file .*-wal", r"^otlp",
        r"^api /v1/stream", r"^api /v1/instances$", r"^api .*/timeline$", r"ndjson", r"csv",
        r"^api .*/reputation", r"/decisions", r"^api /metrics$", r"openmetrics", r"^api /v1/annotations",
        r"^command instances", r"^command timeline", r"^command explain", r"^command decisions",
    ):  # fmt: skip
        data = observed.of(place)
        shown = [name for name in INSTANCES.values() if name.encode() in data]
        assert len(shown) >= (4 if place.startswith(("^stdout", "^file", "^otlp")) else 1), (place, shown)


def test_the_search_finds_what_plain_mode_lets_pass(plain: Told) -> None:
    """The positive control: one setting changed, and the same search finds the number in each place."""
    found = {sink for canary, _, sink in hits(plain.sinks) if canary in {"phone", "wamid"}}

    for place in (
        r"^stdout", r"^file .*\.seg", r"^file reputation\.sqlite", r"^otlp", r"^api /v1/stream",
        r"^api .*/timeline$", r"ndjson", r"csv", r"^command timeline",
    ):  # fmt: skip
        assert [name for name in found if re.search(place, name)], place


def test_a_leak_is_found_in_any_place(observed: Told) -> None:
    """Put anywhere into any of the places, any spelling of any canary is found and told by name."""
    for number, sink in enumerate(observed.sinks):
        canary, form, needle = NEEDLES[number * 7 % len(NEEDLES)]
        part = sink.data[: 1 << 16]
        middle = len(part) // 2
        leaking = Sink(sink.name, part[:middle] + needle + part[middle:])

        assert Hit(canary, form, sink.name) in hits([leaking])


@pytest.mark.parametrize("canary", CANARIES)
def test_a_canary_is_found_in_whatever_form(canary: str) -> None:
    """Raw, percent-encoded, in base64 at any alignment, hex and JSON, also inside of something longer."""
    value = CANARIES[canary]
    for before, behind in (("", ""), ("x", "y"), ("ab", "cd"), ("abc", "def")):
        whole = f"{before}{value}{behind}"
        for hidden in (
            whole.encode(),
            urllib.parse.quote(whole, safe="").encode(),
            urllib.parse.quote(whole, safe="").lower().encode(),
            base64.b64encode(whole.encode()),
            base64.urlsafe_b64encode(whole.encode()),
            whole.encode().hex().encode(),
            whole.encode().hex().upper().encode(),
            json.dumps({"a": whole}).encode(),
            json.dumps(json.dumps({"a": whole})).encode(),
        ):
            assert canary in {hit.canary for hit in hits([("a place", hidden)])} | (
                {"vcard", "text"} if PHONE in value else set()
            ), hidden


def test_nothing_is_found_where_nothing_is() -> None:
    """The markers occur in nothing but themselves."""
    assert (
        hits([("letters", bytes(range(256)) * 64), ("a digest", b"6f1c2f1e0a4b4c7d9a513d2b8c7e1001" * 9)])
        == []
    )
    assert len({needle for canary in CANARIES.values() for _, needle in forms(canary)}) == len(NEEDLES)
