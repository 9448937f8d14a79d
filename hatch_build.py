"""The build's one option: `SIDECAR_COMPILED=1` compiles the hot path ahead of time into the wheel.

Which modules, `pyproject.toml` lists; why, and what may be in the list, docs/adr/0021 tells. Without the
option a wheel holds Python alone and fits every platform. Compiled modules stand beside their sources, which
are imported where the extension does not fit the interpreter.
"""

import os
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CompiledHotPath(BuildHookInterface[Any]):
    """Adds the compiled modules to a wheel that is asked to have them."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and give the wheel the tag of this interpreter and platform."""
        if os.environ.get("SIDECAR_COMPILED") != "1" or version == "editable":
            return
        root = Path(self.root)
        names = sorted(
            path.relative_to(root).as_posix()
            for pattern in self.config["compiled"]
            for path in root.glob(pattern)
        )
        built = Path(tempfile.mkdtemp(prefix="sidecar-compiled-"))
        for path in _compiled(root, names, built).rglob("*.so"):
            build_data["force_include"][str(path)] = path.relative_to(built / "lib").as_posix()
        build_data["pure_python"] = False
        build_data["infer_tag"] = True


def _compiled(root: Path, names: list[str], built: Path) -> Path:
    """Compile these modules as one group, so that they call each other directly; give the folder."""
    from mypyc.build import mypycify  # noqa: PLC0415 - a plain build has no compiler
    from setuptools import Distribution  # noqa: PLC0415
    from setuptools.command.build_ext import build_ext  # noqa: PLC0415

    before = Path.cwd()
    os.chdir(root)
    try:
        extensions = mypycify(
            names, opt_level="2", debug_level="0", group_name="sidecar", target_dir=str(built / "c")
        )
        command = build_ext(Distribution({"name": "sidecar", "ext_modules": extensions}))
        command.build_lib, command.build_temp = str(built / "lib"), str(built / "objects")
        command.ensure_finalized()
        command.run()
    finally:
        os.chdir(before)
    return built / "lib"
