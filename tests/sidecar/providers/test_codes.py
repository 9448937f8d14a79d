"""The code table: shipped, overridden, refused."""

from pathlib import Path

import pytest

from sidecar.providers import reader
from sidecar.providers.codes import ENTRIES_MAX, FILE_BYTES_MAX, TEXT_MAX, CodesInvalid, engine_code, load
from tests.sidecar.providers.exchanges import call, told

ENTRY = """
[[code]]
code = "{code}"
meaning = "{meaning}"
rate_limit = {limit}
providers = ["turbozap"]
cause = "Why."
source = "Where."
date = "2026-11"
"""


def write(path: Path, code: str = "479", meaning: str = "NEW_LIMIT", limit: str = "true") -> Path:
    path.write_text(ENTRY.format(code=code, meaning=meaning, limit=limit), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("provider", "code", "is_rate_limit", "is_account_block"),
    [
        ("turbozap", "463", True, False),
        ("evolution", "rate-overlimit", True, False),
        ("waha", "429", True, False),
        ("cloud_api", "130429", True, False),
        ("cloud_api", "131048", True, False),
        ("cloud_api", "131056", True, False),
        ("cloud_api", "80007", True, False),
        ("cloud_api", "4", True, False),
        ("cloud_api", "133016", True, False),
        ("cloud_api", "368", False, True),
        ("cloud_api", "131031", False, True),
        ("cloud_api", "131047", False, False),
        ("cloud_api", "190", False, False),
    ],
)
def test_the_shipped_table_says_what_a_code_is(
    provider: str, code: str, *, is_rate_limit: bool, is_account_block: bool
) -> None:
    """Every code the provider notes name as limit or block, with its source and date."""
    entry = load().of(provider)[code]

    assert (entry.is_rate_limit, entry.is_account_block) == (is_rate_limit, is_account_block)
    assert entry.cause
    assert entry.source
    assert entry.date.startswith("202")


def test_463_is_no_code_of_the_cloud_api() -> None:
    """There it is a subcode for an expired token."""
    assert "463" not in load().of("cloud_api")


def test_an_operator_adds_a_code_without_a_release(tmp_path: Path) -> None:
    """A new rate limit gives RATE_LIMIT_HIT with its meaning, and may pass into a context."""
    table = load(write(tmp_path / "codes.toml"))
    answer = {"success": False, "error": {"message": "server returned error 479"}}

    reading = told(reader("turbozap", table), call("POST", "/message/v/text", {"to": "1"}, 500, answer))

    assert reading.types == ["MESSAGE_FAILED", "RATE_LIMIT_HIT"]
    assert reading.signals[1].context["codeMeaning"] == "NEW_LIMIT"
    assert "479" in table.known


def test_an_operator_corrects_a_code(tmp_path: Path) -> None:
    """The same code and provider are replaced, other providers' keep theirs."""
    table = load(write(tmp_path / "codes.toml", code="463", limit="false"))

    assert not table.of("turbozap")["463"].is_rate_limit
    assert table.of("waha")["463"].is_rate_limit


@pytest.mark.parametrize(
    "text",
    [
        "[[code",
        "\\xff",
        '[[code]]\ncode = "1"',
        "[other]\na = 1",
        ENTRY.format(code="a b", meaning="OK_NAME", limit="true"),
        ENTRY.format(code="1", meaning="lower case", limit="true"),
        ENTRY.format(code="1", meaning="OK_NAME", limit='"yes"'),
        "x = " + "[" * 100_000,
        "#" * (FILE_BYTES_MAX + 1),
        "\n".join(ENTRY.format(code=n, meaning="OK_NAME", limit="true") for n in range(ENTRIES_MAX + 1)),
    ],
    ids=["syntax", "rubbish", "half", "unknown", "code", "meaning", "type", "nesting", "size", "count"],
)
def test_a_bad_table_is_refused_whole(tmp_path: Path, text: str) -> None:
    """Nothing is half loaded; the error is one named class."""
    path = tmp_path / "codes.toml"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(CodesInvalid):
        load(path)


def test_a_table_that_is_not_there_is_named(tmp_path: Path) -> None:
    """The message says which file."""
    with pytest.raises(CodesInvalid, match=r"missing\.toml cannot be read"):
        load(tmp_path / "missing.toml")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("server returned error 463", "463"),
        ("failed: server returned error 463: x", "463"),
        ("server returned error 1234567890", None),
        ("Error: rate-overlimit", "rate-overlimit"),
        ("server returned error", None),
        ("x" * TEXT_MAX + "server returned error 463", None),
        ("", None),
        (None, None),
    ],
)
def test_the_engines_code_is_found_in_its_text(text: str | None, code: str | None) -> None:
    """R15, within the bound of what is searched."""
    assert engine_code(None, text) == code


def test_the_example_of_the_docs_is_a_table(tmp_path: Path) -> None:
    """Whoever copies it gets what the text says."""
    text = (Path(__file__).parents[3] / "docs" / "providers.md").read_text("utf-8")
    path = tmp_path / "codes.toml"
    path.write_text(text.split("```toml\n")[1].split("```")[0], encoding="utf-8")

    table = load(path)

    assert table.of("waha")["470"].is_rate_limit
    assert table.of("waha")["470"].meaning == "NEW_LIMIT_OF_SPRING"
    assert "463" in table.of("waha")


@pytest.mark.parametrize("provider", ["turbozap", "evolution", "waha"])
def test_a_disputed_code_says_so(provider: str) -> None:
    """463 is told as the fact it is, and its meaning names both readings."""
    known = load().of(provider)["463"]

    assert known.meaning == "REACHOUT_TIMELOCK_OR_MISSING_PRIVACY_TOKEN"
    assert known.cause.startswith("\nDisputed.") or known.cause.startswith("Disputed.")
