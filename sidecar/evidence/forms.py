"""The files of a bundle that are one JSON value each: rules, configuration, start, manifest."""

from collections.abc import Iterable
from typing import Literal

import msgspec

from domain.fold_state import Setting, from_text, setting_named, to_text
from domain.health_ports import Checkpoint
from domain.words import Millis
from sidecar.api.signals import IsoTime
from sidecar.configured import Configured


class SettingLine(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Rule tables by their hash, window and switch: what so many decisions of the bundle state."""

    rule_set: str
    window_ms: int
    latency_rules: bool
    decisions: int

    @property
    def id(self) -> str:
        """Name it as the fold does."""
        return f"{self.rule_set}/{self.window_ms}/{'latency' if self.latency_rules else 'plain'}"

    @property
    def setting(self) -> Setting | None:
        """Give it for replaying; None where other rule tables decided than ours."""
        return setting_named(self.id)


class RulesFile(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Every constant of the rule tables with the hash they give, and what the decisions were made with."""

    rule_set: str
    settings: list[SettingLine]
    constants: dict[str, int | float]


class ConfigurationFile(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Configurations in force in the range, oldest first, without secrets.

    `takenFrom` is `recorder`: the recorders of the data directory kept them as they started; or `export`:
    nobody kept any, these are the settings of whoever exported, and `since` says nothing.
    """

    taken_from: Literal["recorder", "export"]
    configurations: list[Configured]


class Kept(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A state of the fold to begin with."""

    at: Millis
    seq: int
    actions: int
    setting: str
    state: str


class Evaluated(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How far the instance was evaluated: last step, newest fact and action known, and with what."""

    at: Millis
    seq: int
    actions: int
    setting: str


class StartFile(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Where the replay begins: the state at the retention edge, and later ones before the asked range.

    None of both: at the instance's first fact. `seq` and `actions` are the newest arrivals of the bundle.
    `otherDecisions`: arrival numbers of the decisions outside the range, as first and last of each run.
    """

    base: Kept | None
    checkpoints: list[Kept]
    seq: int
    actions: int
    evaluated: Evaluated | None
    other_decisions: list[tuple[int, int]]


class FileEntry(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One file: digest and size of its content, and digest of what the archive holds of it."""

    sha256: str
    size_bytes: int
    packed_sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What the bundle says about itself."""

    format: str
    sidecar_version: str
    instance_id: str
    since: IsoTime
    until: IsoTime
    rule_set: str
    signals: int
    decisions: int
    gaps: int
    files: dict[str, FileEntry]


def kept(point: Checkpoint) -> Kept:
    """Give a state's form."""
    return Kept(at=point.at, seq=point.seq, actions=point.actions, setting=point.setting, state=point.state)


def checkpoint_of(state: Kept, instance_id: str, *, base: bool) -> Checkpoint:
    """Read a state; a text that is none is a ValueError or TypeError."""
    if to_text(from_text(state.state)) != state.state:
        raise ValueError(instance_id)
    return Checkpoint(instance_id, state.at, base, state.seq, state.actions, state.setting, state.state)


def runs(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Give ascending numbers as first and last of each run."""
    found: list[tuple[int, int]] = []
    for number in numbers:
        if found and number == found[-1][1] + 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return found
