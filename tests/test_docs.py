"""The docs say what the code does."""

import json
import re
from pathlib import Path

import pytest

from docs.print_tables import renewed
from sidecar.settings import options

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")


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


@pytest.mark.parametrize("path", sorted((ROOT / "docs/adr").glob("*.md")), ids=lambda p: p.stem)
def test_decisions_tell_what_they_owe(path: Path) -> None:
    """Status, context, decision, alternatives, consequences, and how we would notice we were wrong."""
    headings = re.findall(r"^## (.+)$", path.read_text("utf-8"), re.MULTILINE)

    assert headings[:5] == [
        "Context", "Decision", "Alternatives", "Consequences", "How we would notice we were wrong",
    ]  # fmt: skip


def test_the_ready_line_of_the_readme_is_json() -> None:
    """What scripts wait for is shown as it is printed."""
    block = re.search(r"```json\n(.*?)\n```", README, re.DOTALL)
    assert block is not None

    assert json.loads(block[1])["event"] == "sidecar_ready"
