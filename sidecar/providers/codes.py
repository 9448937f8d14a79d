"""What the codes of providers mean: a table in a file, which an operator may extend without a release."""

import re
import tomllib
from importlib import resources
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

ENTRIES_MAX: Final = 2048
FILE_BYTES_MAX: Final = 1 << 20
CODE_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,39}$"
MEANING_PATTERN: Final = r"^[A-Z][A-Z0-9_]{1,63}$"

_ENGINE_ERROR: Final = re.compile(r"server returned error ([0-9]{1,9})(?![0-9])")
_RATE_OVERLIMIT: Final = "rate-overlimit"
TEXT_MAX: Final = 4096
"""Characters of an error text that are searched for a code."""


class CodesInvalid(Exception):  # noqa: N818 - reads better where it is raised
    """A code table cannot be used; the message names the file, the place and what is wrong."""


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    code: str = msgspec.field()
    meaning: str = msgspec.field()
    providers: list[str] = msgspec.field()
    cause: str = msgspec.field()
    source: str = msgspec.field()
    date: str = msgspec.field()
    rate_limit: bool = False
    account_block: bool = False


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    code: list[_Entry] = []


class Code(NamedTuple):
    """What one code means to one provider.

    Attributes:
        meaning: short constant for the context's `codeMeaning`.
        is_rate_limit: seeing it is a RATE_LIMIT_HIT, whatever the HTTP status (R3).
        is_account_block: seeing it is a CONNECTION_ERROR (notes 4.2).
        cause, source, date: for people.
    """

    meaning: str
    is_rate_limit: bool
    is_account_block: bool
    cause: str
    source: str
    date: str


class CodeTable:
    """Codes by provider."""

    def __init__(self, codes: dict[tuple[str, str], Code]) -> None:
        self._codes = codes
        self.known = frozenset(code for _, code in codes)
        """Every code of the table: these may pass into a context, whatever their form."""

    def of(self, provider: str) -> dict[str, Code]:
        """Give one provider's codes."""
        return {code: entry for (owner, code), entry in self._codes.items() if owner == provider}


def load(override: Path | None = None) -> CodeTable:
    """Read the shipped table and, over it, the operator's.

    Raises:
        CodesInvalid: a file cannot be read or breaks the form; nothing was loaded.
    """
    shipped = resources.files("sidecar.providers").joinpath("codes.toml").read_bytes()
    codes = _parsed(shipped, "codes.toml")
    if override is not None:
        try:
            with override.open("rb") as file:
                data = file.read(FILE_BYTES_MAX + 1)
        except OSError as error:
            raise CodesInvalid(f"{override} cannot be read: {error.strerror}") from error
        codes |= _parsed(data, str(override))
    if len(codes) > ENTRIES_MAX:
        raise CodesInvalid(f"the code table must have at most {ENTRIES_MAX} entries, got {len(codes)}")
    return CodeTable(codes)


def _parsed(data: bytes, name: str) -> dict[tuple[str, str], Code]:
    if len(data) > FILE_BYTES_MAX:
        raise CodesInvalid(f"{name} must have at most {FILE_BYTES_MAX} bytes")
    try:
        file = msgspec.convert(tomllib.loads(data.decode()), _File)
    except (ValueError, RecursionError) as error:
        raise CodesInvalid(f"{name} is not a code table: {error}") from error
    codes = {}
    for entry in file.code:
        if not re.fullmatch(CODE_PATTERN, entry.code) or not re.fullmatch(MEANING_PATTERN, entry.meaning):
            raise CodesInvalid(
                f"{name}: code {entry.code!r} must match {CODE_PATTERN}, its meaning {MEANING_PATTERN}"
            )
        known = Code(
            entry.meaning, entry.rate_limit, entry.account_block, entry.cause, entry.source, entry.date
        )
        codes.update(dict.fromkeys(((provider, entry.code) for provider in entry.providers), known))
    return codes


def engine_code(*texts: str | None) -> str | None:
    """Find the code an engine put into an error text (R15); the text itself goes no further."""
    for text in texts:
        if not text:
            continue
        searched = text[:TEXT_MAX]
        found = _ENGINE_ERROR.search(searched)
        if found:
            return found[1]
        if _RATE_OVERLIMIT in searched:
            return _RATE_OVERLIMIT
    return None
