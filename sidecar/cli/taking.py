"""Where facts are imported to: a running sidecar or the store."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import msgspec

from sidecar.api.posting import BadItem


class Taken(NamedTuple):
    """What became of a batch: bad items by their index, and of the good ones how many were known already.

    `known` is None where that is only found out later.
    """

    bad: Sequence[BadItem]
    known: int | None


class Taking(Protocol):
    """Where facts are imported to."""

    where: str

    def take(self, items: Sequence[msgspec.Raw]) -> Taken:
        """Record the good items of a batch; each bad one is named."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...
