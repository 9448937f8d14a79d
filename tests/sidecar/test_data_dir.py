"""The data directory: modes, identity, key, the recorder's lock."""

import os
import stat
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sidecar.data_dir import DataDir, DataDirError


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_directory_is_private_also_when_it_was_not(tmp_path: Path) -> None:
    """Nobody else reads the journal or the key."""
    path = tmp_path / "data"
    path.mkdir(mode=0o755)

    DataDir(path)

    assert mode(path) == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a directory of somebody else")
def test_a_volume_that_is_ours_by_its_group_is_usable_and_its_files_private() -> None:
    """Kubernetes mounts a volume as root's, with the pod's group: its mode is not ours to change."""
    nobody = 65_534
    with tempfile.TemporaryDirectory() as made:
        os.chmod(made, 0o755)  # noqa: PTH101 - nobody has to pass through
        volume = Path(made) / "volume"
        volume.mkdir()
        os.chown(volume, 0, nobody)
        volume.chmod(0o2770)
        DataDir(Path(made) / "own").sidecar_id()  # nobody may not load modules from where we have ours
        os.setegid(nobody)
        os.seteuid(nobody)
        try:
            DataDir(volume).sidecar_id()
        finally:
            os.seteuid(0)
            os.setegid(0)

        assert mode(volume) == 0o2770
        assert {mode(path) for path in volume.iterdir()} == {0o600}


def test_small_files_are_private(tmp_path: Path) -> None:
    """The key of the digest is a secret."""
    data = DataDir(tmp_path / "data")
    data.sidecar_id()
    data.pseudonym_key(None)

    assert {mode(p) for p in data.path.iterdir()} == {0o600}


def test_identity_and_key_are_made_once_even_by_many_starters(tmp_path: Path) -> None:
    """Two sidecars that start at once agree."""
    with ThreadPoolExecutor(8) as pool:
        seen = set(
            pool.map(
                lambda _: (DataDir(tmp_path / "d").sidecar_id(), DataDir(tmp_path / "d").pseudonym_key(None)),
                range(16),
            )
        )

    assert len(seen) == 1


def test_a_configured_key_is_the_same_everywhere(tmp_path: Path) -> None:
    """Sidecars that share the key give the same digests."""
    one = DataDir(tmp_path / "a").pseudonym_key("shared secret")
    other = DataDir(tmp_path / "b").pseudonym_key("shared secret")

    assert one == other
    assert len(one) == 32
    assert one != DataDir(tmp_path / "a").pseudonym_key(None)


def test_an_identity_file_emptied_by_a_crash_is_made_anew(tmp_path: Path) -> None:
    """Start always succeeds."""
    data = DataDir(tmp_path)
    (tmp_path / "sidecar-id").touch()

    assert len(data.sidecar_id()) == 16


def test_only_one_recorder_holds_the_lock(tmp_path: Path) -> None:
    """Two recorders of one journal would record side by side."""
    data = DataDir(tmp_path)
    first = data.lock_recorder(0)
    assert first is not None

    assert data.lock_recorder(0.1) is None
    os.close(first)
    second = data.lock_recorder(0)

    assert second is not None
    os.close(second)


def test_a_directory_that_cannot_be_made_is_explained(tmp_path: Path) -> None:
    """The message names setting and remedy."""
    (tmp_path / "file").touch()

    with pytest.raises(DataDirError, match=r"SIDECAR_DATA_DIR .* cannot be written .* name a directory"):
        DataDir(tmp_path / "file" / "data")
