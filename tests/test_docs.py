"""The docs say what the code does."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from docs.print_tables import DECISIONS, renewed
from exporters.prometheus.catalogue import CATALOGUE
from sidecar.settings import options

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
RECORDS = sorted(DECISIONS.parent.glob("[0-9]*.md"))
PAGES = sorted(
    {
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/*.md"),
        *ROOT.glob("dashboards/**/*.md"),
        *ROOT.glob("tests/**/*.md"),
    }
)
"""Pages that speak of the tree as it is now; a decision record speaks of the day it was written."""
NO_SETTINGS = {"SIDECAR_CONFIG", "SIDECAR_COMPILED", "SIDECAR_CHAOS"}
"""Where the file of settings is; what a build or a test is told."""
CODE = ("domain", "sidecar", "exporters", "dashboards", "bench", "deploy", "docs", "tests")
IN_THE_TREE = rf"(?:{'|'.join((*CODE, 'requirements'))})/[\w./-]*"


def sources() -> Iterator[tuple[Path, str]]:
    for folder in CODE:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield path, path.read_text("utf-8")


def test_the_readmes_tables_are_those_of_the_code() -> None:
    """A setting or metric that is documented otherwise, or not, fails here; `make docs` mends it."""
    assert renewed(README) == README
    assert "| `SIDECAR_PROVIDER_URL` |" in README
    assert "| `reputation_signals_total` |" in README


def test_every_setting_of_the_contract_is_there() -> None:
    """Users rely on these names (design section 4)."""
    contract = """PROVIDER PROVIDER_URL DISPATCH_LISTEN DISPATCHER_URL WEBHOOK_LISTEN WEBHOOK_SECRET
        WEBHOOK_VERIFY
        WEBHOOK_BODY_MAX_BYTES ADMIN_LISTEN ADMIN_TOKEN METRICS_PUBLIC DATA_DIR DATABASE_URL WORKERS WINDOW_MS
        LATENCY_RULES RETENTION_DAYS REMOTE_JID PSEUDONYM_KEY MAX_INSTANCE_SERIES LOG_FORMAT JOURNAL_MAX_BYTES
        JOURNAL_SYNC_MS MAX_CONNECTIONS CONNECT_TIMEOUT_MS HEAD_TIMEOUT_MS DRAIN_SECONDS"""

    assert {f"SIDECAR_{name}" for name in contract.split()} <= {option.env for option in options()}


@pytest.mark.parametrize(
    "path", sorted({*ROOT.glob("docs/**/*.md"), *ROOT.glob("*.md")}), ids=lambda p: p.name
)
def test_links_between_docs_lead_somewhere(path: Path) -> None:
    """A newcomer never meets a dead link."""
    targets = re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)", path.read_text("utf-8"))
    dead = [target for target in targets if not (path.parent / target).exists()]

    assert dead == []


def test_the_portuguese_readme_leads_to_the_same_places_and_commands() -> None:
    """The first users read Portuguese: whatever page or command the English one names, theirs does."""
    portuguese = (ROOT / "README.pt-BR.md").read_text("utf-8")
    pages = re.compile(r"\]\(((?:docs/)?[\w-]+\.md)")
    commands = set(re.findall(r"`sidecar ([a-z]+)", README)) | set(
        re.findall(r"^make ([a-z]+)", README, re.MULTILINE)
    )

    assert set(pages.findall(README)) - set(pages.findall(portuguese)) <= {
        "docs/glossary.md",
        "README.pt-BR.md",
    }
    assert commands
    assert [name for name in sorted(commands) if not re.search(rf"\b{name}\b", portuguese)] == []
    assert (
        README.count("\n## ") - portuguese.count("\n## ") == 1
    )  # settings and metrics in English, words here


@pytest.mark.parametrize("name", ["docs/security.md", "docs/privacy.md", "CHANGELOG.md"])
def test_every_test_that_a_promise_names_is_there(name: str) -> None:
    """A promise that points at a test which was renamed or removed fails here."""
    named = re.findall(r"`(tests/[\w/]+)(\.py)?(?:::(\w+))?`", (ROOT / name).read_text("utf-8"))
    missing = [
        f"{path}{suffix}::{test}"
        for path, suffix, test in named
        if not (found := ROOT / (path + suffix)).exists()
        or (test and not re.search(rf"^(async )?def {test}\(", found.read_text("utf-8"), re.MULTILINE))
    ]

    assert missing == []


@pytest.mark.parametrize("path", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_every_setting_and_metric_that_a_page_names_is_there(path: Path) -> None:
    """Nobody sets a variable that nothing reads, or waits for a metric that never comes."""
    page = path.read_text("utf-8")
    settings = {option.env for option in options()} | {
        f"{option.env}_FILE" for option in options() if option.secret
    }
    metrics = {metric.shown_as for metric in CATALOGUE}

    assert set(re.findall(r"\bSIDECAR_[A-Z_]*[A-Z]\b(?!_)", page)) - settings - NO_SETTINGS == set()
    assert set(re.findall(r"\breputation_\w+(?:_total|_seconds|_bytes)\b", page)) <= metrics


@pytest.mark.parametrize("path", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_every_file_that_a_page_names_is_there(path: Path) -> None:
    """A file that was renamed or split is named anew where people read of it."""
    named = re.findall(rf"`({IN_THE_TREE})(?:::\w+)?`", path.read_text("utf-8"))

    assert [name for name in named if not (ROOT / name).exists()] == []


def test_every_file_that_the_code_names_is_there() -> None:
    """The same for docstrings and comments; decision records are named by their number."""
    missing = []
    for path, text in sources():
        names = re.findall(rf"\b(?:{'|'.join(CODE)})/[\w/-]+\.(?:py|md|yml)\b", text)
        missing += [f"{path.relative_to(ROOT)}: {name}" for name in names if not (ROOT / name).exists()]
        missing += [
            f"{path.relative_to(ROOT)}: docs/adr/{number}"
            for number in re.findall(r"docs/adr/(\d{4})", text)
            if not any(record.name.startswith(number) for record in RECORDS)
        ]

    assert missing == []


def test_every_module_that_a_package_lists_is_there() -> None:
    """A package's docstring is the map of its folder."""
    missing = [
        f"{path.relative_to(ROOT)}: {name}"
        for path, text in sources()
        if path.name == "__init__.py"
        for name in re.findall(r"\b([a-z_]+\.(?:py|toml))\b", ast.get_docstring(ast.parse(text)) or "")
        if not (path.parent / name).exists()
    ]

    assert missing == []


@pytest.mark.parametrize("package", ["domain", "sidecar", "exporters"])
def test_the_architecture_names_every_part(package: str) -> None:
    """What a newcomer finds in the folder stands on the page that explains it."""
    page = (ROOT / "docs/architecture.md").read_text("utf-8")
    parts = {
        f"{path.name}/" if path.is_dir() else path.name
        for path in (ROOT / package).iterdir()
        if path.suffix == ".py" or (path / "__init__.py").exists()
    }

    assert sorted(part for part in parts - {"__init__.py", "__main__.py"} if f"`{part}`" not in page) == []


@pytest.mark.parametrize("path", RECORDS, ids=lambda p: p.stem)
def test_decisions_tell_what_they_owe(path: Path) -> None:
    """Status and date, context, decision, alternatives, consequences, how we would notice we were wrong."""
    text = path.read_text("utf-8")
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    bodies = re.split(r"^## .+$", text, flags=re.MULTILINE)[1:]

    assert re.match(
        rf"# {path.name[:4]}\. .+\n\nStatus: accepted, \d{{4}}-\d\d-\d\d"
        r"\.?( (Supersedes|Superseded by|Adds to) \d{4}(, \d{4}-\d\d-\d\d)?\.)*\n",
        text,
    )
    assert headings[:5] == [
        "Context", "Decision", "Alternatives", "Consequences", "How we would notice we were wrong",
    ]  # fmt: skip
    assert all(body.strip() for body in bodies)


def test_the_index_of_decisions_is_that_of_the_records() -> None:
    """Every record is listed with its status, and has a number of its own; `make docs` renews it."""
    index = DECISIONS.read_text("utf-8")
    numbers = [int(record.name[:4]) for record in RECORDS]

    assert renewed(index) == index
    assert numbers == list(range(1, len(RECORDS) + 1))


def test_the_ready_line_of_the_readme_is_json() -> None:
    """What scripts wait for is shown as it is printed."""
    block = re.search(r"```json\n(.*?)\n```", README, re.DOTALL)
    assert block is not None

    assert json.loads(block[1])["event"] == "sidecar_ready"
