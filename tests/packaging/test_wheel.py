"""What is published: wheel and source archive install into an environment of their own and work there."""

import os
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from email.parser import HeaderParser
from pathlib import Path

import pytest

import sidecar
from tests.test_docs import ROOT

pytestmark = pytest.mark.slow


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("SIDECAR_", "OTEL_"))}
    done = subprocess.run(
        [*map(str, command)],
        cwd=cwd,
        env=clean | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Build wheel and source archive with the locked build tool."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "hatchling", "build", "-d", folder, cwd=ROOT)
    return next(folder.glob("*.whl")), next(folder.glob("*.tar.gz"))


@pytest.fixture(scope="module")
def installed(built: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel into a new environment; it borrows the dependencies of this one, not the checkout."""
    home = tmp_path_factory.mktemp("venv")
    run(sys.executable, "-m", "venv", "--without-pip", home, cwd=home)
    python = home / "bin" / "python"
    install = (
        "-m",
        "pip",
        "--disable-pip-version-check",
        "--python",
        python,
        "install",
        "--no-index",
        "--no-deps",
    )
    run(sys.executable, *install, built[0], cwd=home)
    # A plain path in a .pth file is searched, its own .pth files (the editable checkout) are not.
    site = run(python, "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])", cwd=home).strip()
    Path(site, "dependencies.pth").write_text(sysconfig.get_paths()["purelib"] + "\n", "utf-8")
    where = run(python, "-I", "-c", "import sidecar; print(sidecar.__file__)", cwd=home).strip()
    assert where.startswith(str(home))
    return home


def test_the_demo_runs_from_the_installed_wheel(installed: Path, tmp_path: Path) -> None:
    """Whoever installs the package sees the main job without a checkout, in a folder that holds nothing."""
    printed = run(
        installed / "bin" / "sidecar", "demo", "--duration", "4", cwd=tmp_path, TMPDIR=str(tmp_path)
    )

    assert "lost 0" in printed
    assert "pending 0" in printed


def test_the_version_is_that_of_the_build(built: tuple[Path, Path], installed: Path, tmp_path: Path) -> None:
    """Tag, file name and what the program says are one version."""
    said = run(installed / "bin" / "sidecar", "--version", cwd=tmp_path).strip()

    assert built[0].name.startswith(f"reputation_sidecar-{said}-")
    assert built[1].name == f"reputation_sidecar-{said}.tar.gz"


def test_the_revision_is_the_commit_that_was_built(
    built: tuple[Path, Path], installed: Path, tmp_path: Path
) -> None:
    """What runs can be found in the history: told to the build, or read from the repository."""
    said = run(
        installed / "bin/python", "-I", "-c", "import sidecar; print(sidecar.__revision__)", cwd=tmp_path
    )
    told = tmp_path / "told"
    with tarfile.open(built[1]) as archive:
        archive.extractall(told, filter="data")
    command = (sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", told)
    run(*command, cwd=next(told.iterdir()), BUILD_REVISION="0123456789ab")
    again = zipfile.ZipFile(next(told.glob("*.whl"))).read("sidecar/revision.txt")

    assert said == (
        run("git", "rev-parse", "--short=12", "HEAD", cwd=ROOT) if (ROOT / ".git").exists() else said
    )
    assert again == b"0123456789ab\n"
    assert sidecar.__revision__ == "checkout"


def test_the_wheel_holds_code_types_licence_and_data_and_no_tests(built: tuple[Path, Path]) -> None:
    """Type checkers find `py.typed`, the page and the code table travel along, tests stay at home."""
    names = zipfile.ZipFile(built[0]).namelist()

    assert {f"{package}/py.typed" for package in ("domain", "exporters", "sidecar")} <= set(names)
    assert {"sidecar/api/page/index.html", "sidecar/providers/codes.toml"} <= set(names)
    assert any(name.endswith("/licenses/LICENSE") for name in names)
    assert {name.split("/")[0].split("-")[0] for name in names} == {
        "domain", "exporters", "sidecar", "reputation_sidecar",
    }  # fmt: skip


def test_few_dependencies_are_required_and_the_rest_are_extras(built: tuple[Path, Path]) -> None:
    """PostgreSQL, gRPC and Parquet come on request; nothing of the tests is required."""
    archive = zipfile.ZipFile(built[0])
    metadata = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
    headers = HeaderParser().parsestr(archive.read(metadata).decode())
    required = [line for line in headers.get_all("Requires-Dist", []) if "extra ==" not in line]

    assert {"postgres", "otlp-grpc"} <= set(headers.get_all("Provides-Extra", []))
    assert not [line for line in required if line.startswith(("psycopg", "grpcio", "pyarrow", "pytest"))]
    assert len(required) <= 20


def test_the_source_archive_builds_the_same_wheel(built: tuple[Path, Path], tmp_path: Path) -> None:
    """A distributor who starts from the archive publishes the same files."""
    with tarfile.open(built[1]) as archive:
        archive.extractall(tmp_path, filter="data")
    source = next(tmp_path.iterdir())
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path / "again", cwd=source)
    again = next((tmp_path / "again").glob("*.whl"))

    assert again.name == built[0].name
    contents = [
        {name: archive.read(name) for name in archive.namelist()}
        for archive in (zipfile.ZipFile(built[0]), zipfile.ZipFile(again))
    ]
    assert contents[0] == contents[1]
    assert (source / "compose.yml").is_file()
