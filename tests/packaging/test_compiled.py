"""Which modules a compiled build compiles, and which are compiled here (docs/adr/0021)."""

import ast
import importlib
import os
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def listed() -> list[Path]:
    """Give the modules that `pyproject.toml` lists."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    hook = project["tool"]["hatch"]["build"]["targets"]["wheel"]["hooks"]["custom"]
    found = [sorted(ROOT.glob(pattern)) for pattern in hook["compiled"]]
    assert all(found), "a pattern names nothing"
    left = {ROOT / name for name in hook["interpreted"]}
    assert all(path.exists() for path in left)
    return [path for paths in found for path in paths if path not in left]


def test_no_listed_module_holds_a_type_that_msgspec_looks_into() -> None:
    """A compiled class tells less of its fields' types than msgspec must know (`str | None` is `type`)."""
    looking = [
        path.name
        for path in listed()
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Import) and any(alias.name == "msgspec" for alias in node.names)
    ]

    assert not looking


def test_what_is_imported_is_what_this_run_is_about() -> None:
    """`make compiled` tests extensions, every other run tests sources: no leftover shadows what is edited."""
    library = os.environ.get("SIDECAR_COMPILED_LIB")
    modules = [importlib.import_module(".".join(p.relative_to(ROOT).with_suffix("").parts)) for p in listed()]
    files = [str(module.__file__) for module in modules]

    if library:
        assert all(file.startswith(library) and file.endswith(".so") for file in files)
    else:
        assert all(file.endswith(".py") for file in files)
