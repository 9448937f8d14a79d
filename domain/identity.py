"""The deterministic id of a signal: the same fact gets the same id, whoever reports it again.

UUIDv5 (RFC 9562 section 5.5) over instance, source, type and the fact's basis (design section 3, signal id).
The chat never enters. Separated by U+001F, which `to_signal` refuses in every part.
"""

import hashlib
import re
import uuid
from typing import Final

from domain.words import SignalType, Source

NAMESPACE: Final = uuid.UUID("8c0f7a54-6f0e-5d5c-9b7a-2f3c1f0f7f11")
_VARIANT: Final = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}
"""The first two bits of this digit are the variant's, 10; version 5 stands in a digit of its own."""
_KEPT: Final = "\x1fid\x1f"
_KEPT_BASIS: Final = re.compile(_KEPT + "[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}")
_SEED: Final = hashlib.sha1(NAMESPACE.bytes, usedforsecurity=False)


def keeping(identity: str) -> str:
    """Give the basis of a fact that keeps the id it was recorded under elsewhere (docs/adr/0016)."""
    return _KEPT + identity


def is_kept(basis: str) -> bool:
    """Tell whether a basis is an id itself; message ids hold no control character, so none is mistaken."""
    return basis[:1] == "\x1f" and _KEPT_BASIS.fullmatch(basis) is not None


def signal_id(instance_id: str, source: Source, signal_type: SignalType, basis: str, ordinal: int = 0) -> str:
    """Derive the id of a fact, as lower-case text.

    Args:
        instance_id: the instance after its alias was resolved.
        source: who reported it.
        signal_type: what it states.
        basis: `Signal.basis`.
        ordinal: position among equal bases within one exchange; 0 for the first.
    """
    if is_kept(basis):
        return basis[len(_KEPT) :]
    name = "\x1f".join((instance_id, source, signal_type, basis))  # noqa: FLY002 - formatting an enum costs four times this
    if ordinal:
        name += f"\x1f{ordinal}"
    seed = _SEED.copy()
    seed.update(name.encode("utf-8", "surrogatepass"))
    text = seed.hexdigest()
    return f"{text[:8]}-{text[8:12]}-5{text[13:16]}-{_VARIANT[text[16]]}{text[17:20]}-{text[20:32]}"
