"""The rules of the house, read from the source itself: a failure names the file, the line and the rule."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("domain", "sidecar", "exporters")
LINES_MAX = 300
FUNCTION_LINES_MAX = 60

MAY_IMPORT = {
    "domain": {"domain"},
    "exporters": {"domain", "exporters"},
    "sidecar": {"domain", "sidecar"},
}
COMPOSITION_ROOT = "sidecar/bootstrap/"
"""The only place that brings exporters and the sidecar together."""

STANDARD_ONLY = "domain"


def sources(package: str) -> list[Path]:
    return sorted(p for p in (ROOT / package).rglob("*.py") if "versions" not in p.parts)


@cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    """Everything that stands in a file, parsed once."""
    return tuple(ast.walk(ast.parse(path.read_text("utf-8"))))


def imports(path: Path) -> Iterator[tuple[int, str]]:
    for node in nodes(path):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.lineno, node.module


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_import_only_what_the_design_allows(package: str) -> None:
    """`domain` imports nothing of ours; exporters and sidecar only the domain; one file knows all."""
    broken = []
    for path in sources(package):
        name = path.relative_to(ROOT).as_posix()
        allowed = set(PACKAGES) if name.startswith(COMPOSITION_ROOT) else MAY_IMPORT[package]
        for line, module in imports(path):
            top = module.split(".")[0]
            if top in PACKAGES and top not in allowed:
                broken.append(f"{name}:{line} imports {module}")

    assert not broken, "\n".join(broken)


def test_the_domain_uses_the_standard_library_only() -> None:
    """No library can change a decision."""
    import sys  # noqa: PLC0415 - used here only

    foreign = [
        f"{path.relative_to(ROOT)}:{line} imports {module}"
        for path in sources(STANDARD_ONLY)
        for line, module in imports(path)
        if module.split(".")[0] not in sys.stdlib_module_names | {"domain"}
    ]

    assert not foreign, "\n".join(foreign)


def test_relative_imports_are_not_used() -> None:
    """A name is found by its full path."""
    relative = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for package in PACKAGES
        for path in sources(package)
        for node in nodes(path)
        if isinstance(node, ast.ImportFrom) and node.level
    ]

    assert not relative, "\n".join(relative)


def test_modules_stay_small() -> None:
    """A module beyond 300 lines is split by meaning."""
    big = [
        f"{path.relative_to(ROOT)}: {count} lines"
        for package in PACKAGES
        for path in sources(package)
        if (count := len(path.read_text("utf-8").splitlines())) > LINES_MAX
    ]

    assert not big, "\n".join(big)


def test_functions_stay_small() -> None:
    """A function beyond 60 lines does more than one thing."""
    big = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}: {length} lines"
        for package in PACKAGES
        for path in sources(package)
        for node in nodes(path)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (length := (node.end_lineno or node.lineno) - node.lineno + 1) > FUNCTION_LINES_MAX
    ]

    assert not big, "\n".join(big)


def test_only_the_configuration_reads_the_environment() -> None:
    """What a process depends on is visible in one file."""
    allowed = {"sidecar/config.py", "exporters/otel/settings.py"}
    readers = [
        f"{name}:{node.lineno}"
        for package in PACKAGES
        for path in sources(package)
        if (name := path.relative_to(ROOT).as_posix()) not in allowed
        for node in nodes(path)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and (node.value.id, node.attr) in {("os", "environ"), ("os", "getenv")}
    ]

    assert not readers, "\n".join(readers)


def test_every_test_has_a_sentence_that_states_its_guarantee() -> None:
    """A test without a docstring does not say what breaks when it fails."""
    silent = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path in sorted((ROOT / "tests").rglob("test_*.py"))
        for node in nodes(path)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and not ast.get_docstring(node)
    ]

    assert not silent, "\n".join(silent)
