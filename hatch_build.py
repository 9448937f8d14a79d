"""What a build adds: the commit it was made from, and, where asked, the hot path compiled ahead of time.

The commit stands in `sidecar/revision.txt`, for `reputation_build_info`: told by `BUILD_REVISION` where there
is no repository (the container image), else read from it, else brought along by a source archive.

`SIDECAR_COMPILED=1` compiles into the wheel. Which modules, `pyproject.toml` lists; why, and what may be in
the list, docs/adr/0021 tells. Without the option a wheel holds Python alone and fits every platform.
Compiled modules stand beside their sources, which are imported where the extension does not fit the
interpreter.
"""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Final

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

REVISION: Final = "sidecar/revision.txt"


class SidecarBuild(BuildHookInterface[Any]):
    """Adds what the sources alone do not hold; an editable installation is nothing but they."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the commit, and the compiled modules to a wheel that is asked to have them."""
        self._drafts: list[str] = []
        if version == "editable":
            return
        if revision := _revision(Path(self.root)):
            told = self._draft() / "revision.txt"
            told.write_text(f"{revision}\n", "ascii")
            build_data["force_include"][str(told)] = REVISION
        if self.target_name == "wheel" and os.environ.get("SIDECAR_COMPILED") == "1":
            self._compile(build_data)

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002
        """Leave nothing behind once all of it is in the archive."""
        for draft in self._drafts:
            shutil.rmtree(draft)

    def _draft(self) -> Path:
        self._drafts.append(tempfile.mkdtemp(prefix="sidecar-build-"))
        return Path(self._drafts[-1])

    def _compile(self, build_data: dict[str, Any]) -> None:
        """Compile, and give the wheel the tag of this interpreter and platform."""
        root = Path(self.root)
        names = sorted(
            path.relative_to(root).as_posix()
            for pattern in self.config["compiled"]
            for path in root.glob(pattern)
            if path.relative_to(root).as_posix() not in self.config["interpreted"]
        )
        built = self._draft()
        for path in _compiled(root, names, built).rglob("*.so"):
            build_data["force_include"][str(path)] = path.relative_to(built / "lib").as_posix()
        build_data["pure_python"] = False
        build_data["infer_tag"] = True


def _revision(root: Path) -> str:
    """Give the commit, empty where nobody knows it."""
    if told := os.environ.get("BUILD_REVISION", "").strip():
        return told
    if (root / ".git").exists():
        command = ["git", "-C", str(root), "rev-parse", "--short=12", "HEAD"]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()  # noqa: S603
    kept = root / REVISION
    return kept.read_text("ascii").strip() if kept.exists() else ""


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
