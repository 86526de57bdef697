"""Assets in the project: put by rename, kept when edited by hand, never taken from others."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from spritebuild import digest
from spritebuild.errors import PolicyError
from spritebuild.install import Installer
from spritebuild.lock import Entry
from spritebuild.store import LARGE, Damaged, Store

PATH = "assets/items/potion.png"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "game/.spritebuild")
    store.fresh_scratch()
    yield store
    store.close()


@pytest.fixture
def installer(store: Store, tmp_path: Path) -> Installer:
    return again(store)


def again(store: Store, *entries: Entry) -> Installer:
    """What the next build has: the store's memory, and a lock."""
    return Installer(store.root.parent, store, {entry.path: entry for entry in entries}, digest.Files({}))


def install(installer: Installer, data: bytes, path: str = PATH) -> str | None:
    ((_, kept),) = installer.install({path: installer.store.put(data)})
    return kept


def content(installer: Installer, path: str = PATH) -> bytes:
    return (installer.root / path).read_bytes()


def test_installed_asset_has_the_bytes_of_its_blob(installer: Installer) -> None:
    assert install(installer, b"potion") is None
    assert content(installer) == b"potion"
    assert [path.name for path in (installer.root / "assets/items").iterdir()] == ["potion.png"]
    assert list(installer.store.scratch.iterdir()) == []


def test_small_asset_is_the_users_to_edit(installer: Installer) -> None:
    install(installer, b"potion")
    assert os.access(installer.root / PATH, os.W_OK)
    (installer.root / PATH).write_bytes(b"edited")
    assert installer.store.checked(digest.of_bytes(b"potion"))


def test_large_asset_is_whole(installer: Installer) -> None:
    data = os.urandom(LARGE)
    install(installer, data)
    assert content(installer) == data


def test_asset_of_ours_is_replaced_without_a_copy(installer: Installer) -> None:
    install(installer, b"potion")
    assert install(again(installer.store), b"elixir") is None
    assert content(installer) == b"elixir"


def test_asset_edited_by_hand_is_kept(installer: Installer) -> None:
    install(installer, b"potion")
    (installer.root / PATH).write_bytes(b"edited")
    kept = install(again(installer.store), b"elixir")
    assert kept == f".spritebuild/replaced/{PATH}"
    assert content(installer, kept) == b"edited"
    assert content(installer) == b"elixir"


def test_file_of_another_is_refused(installer: Installer) -> None:
    (installer.root / "assets/items").mkdir(parents=True)
    (installer.root / PATH).write_bytes(b"theirs")
    with pytest.raises(PolicyError, match="is in the way"):
        install(installer, b"potion")
    assert content(installer) == b"theirs"
    assert installer.store.installed() == {}


@pytest.mark.parametrize("field", ["digest", "approved"])
def test_bytes_that_the_lock_lists_are_ours(store: Store, field: str) -> None:
    entry = Entry(**{"path": PATH, "recipe": "", "digest": "x", field: digest.of_bytes(b"checked out")})
    installer = again(store, entry)
    (installer.root / "assets/items").mkdir(parents=True)
    (installer.root / PATH).write_bytes(b"checked out")
    assert install(installer, b"potion") is None
    assert content(installer) == b"potion"


def test_removed_asset_takes_its_empty_folders_along(installer: Installer) -> None:
    install(installer, b"potion")
    assert again(installer.store).remove(PATH)
    assert not (installer.root / "assets").exists()
    assert installer.store.installed() == {}


def test_folder_that_is_not_empty_stays(installer: Installer) -> None:
    install(installer, b"potion")
    (installer.root / "assets/notes.txt").touch()
    again(installer.store).remove(PATH)
    assert [path.name for path in (installer.root / "assets").iterdir()] == ["notes.txt"]


def test_asset_edited_by_hand_is_not_removed(installer: Installer) -> None:
    install(installer, b"potion")
    (installer.root / PATH).write_bytes(b"edited")
    assert not again(installer.store).remove(PATH)
    assert content(installer) == b"edited"


def test_asset_that_is_gone_counts_as_removed(installer: Installer) -> None:
    install(installer, b"potion")
    (installer.root / PATH).unlink()
    assert again(installer.store).remove(PATH)


def test_damaged_blob_is_not_installed(installer: Installer) -> None:
    for data in (b"potion", bytes(LARGE)):
        name = installer.store.put(data)
        blob = Path(installer.store.path(name))
        blob.chmod(0o644)
        blob.write_bytes(data[:-1] + b"!")
        with pytest.raises(Damaged):
            installer.install({PATH: name})
        assert not (installer.root / PATH).exists()
        assert not installer.store.has(name)


@pytest.mark.parametrize("path", ["assets/out/potion.png", "assets/out/new/potion.png"])
def test_link_that_leaves_the_project_is_refused_before_anything_is_made(
    installer: Installer, tmp_path: Path, path: str
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (installer.root / "assets").mkdir()
    (installer.root / "assets/out").symlink_to(outside)
    with pytest.raises(PolicyError, match="leaves the project through a link"):
        install(installer, b"potion", path)
    assert list(outside.iterdir()) == []


def test_asset_that_is_a_link_is_replaced_and_its_target_left(installer: Installer, tmp_path: Path) -> None:
    install(installer, b"potion")
    (tmp_path / "target.png").write_bytes(b"theirs")
    (installer.root / PATH).unlink()
    (installer.root / PATH).symlink_to(tmp_path / "target.png")
    install(again(installer.store), b"elixir")
    assert content(installer) == b"elixir"
    assert not (installer.root / PATH).is_symlink()
    assert (tmp_path / "target.png").read_bytes() == b"theirs"
