"""Readers: what each provider's traffic means, as pure functions from an Exchange to events.

    contract.py    Reader, Reading, the one error, and how untrusted JSON is narrowed
    <provider>     one module (or package) a provider: its routes, answers, callbacks, signature
    codes.toml     what the providers' codes mean; an operator may override it

Shared by the readers: `routes.py` (which call is this), `outcome.py` (rules R1 to R8), `chat.py` and
`times.py` (normal forms), `media.py` (message types), `basis.py` (what identifies a fact), `signature.py`
(verification).

A provider is found by the name of its module: adding one adds a file that has `build(codes) -> Reader`, and
its fixtures; nothing else changes.
"""

import importlib
import pkgutil
from typing import Final, cast

from sidecar.providers.codes import CodeTable, load
from sidecar.providers.contract import Reader

_SHARED: Final = frozenset(
    {"basis", "chat", "codes", "contract", "media", "outcome", "routes", "signature", "times"}
)
"""Modules of this package that are no provider."""


def names() -> list[str]:
    """Give every provider there is a reader for, in alphabetical order."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name not in _SHARED)


def reader(name: str, codes: CodeTable | None = None) -> Reader:
    """Load the reader of a provider; only then is its module imported.

    Args:
        name: one of `names()`.
        codes: the code table; None means the shipped one.

    Raises:
        ValueError: there is no such reader.
    """
    if name not in names():
        raise ValueError(f"provider must be one of {', '.join(names())}, got {name!r}")
    module = importlib.import_module(f"{__name__}.{name}")
    return cast("Reader", module.build(codes if codes is not None else load()))
