"""Blobs and traces: whole, read-only, found by their digest, and checked whenever they are used."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spritebuild import digest
from spritebuild.errors import MachineError, StageError
from spritebuild.files import exists, machine_errors, write_atomic
from spritebuild.store import Damaged, Description, Store, Trace


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "store")
    store.fresh_scratch()
    yield store
    store.close()


def scratched(store: Store, data: bytes, name: str = "file") -> str:
    path = store.scratch / name
    path.write_bytes(data)
    return str(path)


def poison(store: Store, name: str) -> None:
    blob = Path(store.path(name))
    blob.chmod(0o644)
    blob.write_bytes(b"poison")


# Blobs


def test_blob_is_found_by_the_digest_of_its_bytes(store: Store) -> None:
    name = store.put(b"potion")
    assert name == digest.of_bytes(b"potion")
    assert store.has(name)
    assert Path(store.checked(name)).read_bytes() == b"potion"
    assert [found for found, _ in store.blobs()] == [name]


def test_taken_file_is_a_blob_and_gone(store: Store) -> None:
    path = scratched(store, b"potion")
    name = store.take(path)
    assert Path(store.path(name)).read_bytes() == b"potion"
    assert not Path(path).exists()


def test_file_taken_twice_is_one_blob(store: Store) -> None:
    names = {store.take(scratched(store, b"potion", file)) for file in ("a", "b")}
    store.close()
    assert len(names) == len(list(store.blobs())) == 1
    assert list(store.scratch.iterdir()) == []


def test_taken_file_becomes_a_blob_with_the_commit_and_is_readable_before(store: Store) -> None:
    name = store.take(scratched(store, b"potion"))
    before = store.checked(name)
    assert list(store.blobs()) == []
    store.commit()
    assert [found for found, _ in store.blobs()] == [name]
    assert Path(before).read_bytes() == b"potion", "whoever reads it by its first name goes on reading"


def test_commit_after_a_failed_one_publishes_before_it_speaks(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    name = store.take(scratched(store, b"potion"))
    store.record("key", "sprites.potion:paint", Trace({"image": name}, {}))

    def full(paths: list[str]) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("spritebuild.store.sync_files", full)
        with pytest.raises(OSError, match="No space left"):
            store.commit()
    store.commit()
    assert [found for found, _ in store.blobs()] == [name]
    assert store.outputs("key") == {"image": name}


def test_many_taken_files_become_blobs_together(store: Store) -> None:
    names = {store.take(scratched(store, bytes([n]))) for n in range(20)}
    store.commit()
    assert {found for found, _ in store.blobs()} == names
    store.fresh_scratch()
    assert all(store.checked(name) for name in names)


def test_damaged_blob_is_replaced_by_the_file_that_is_taken(store: Store) -> None:
    name = store.put(b"potion")
    poison(store, name)
    assert store.take(scratched(store, b"potion")) == name
    assert Path(store.checked(name)).read_bytes() == b"potion"


def test_blobs_are_read_only(store: Store) -> None:
    for name in (store.put(b"put"), store.take(scratched(store, b"taken"))):
        assert stat.S_IMODE(Path(store.path(name)).stat().st_mode) == 0o444


def test_missing_blob_is_damaged(store: Store) -> None:
    with pytest.raises(Damaged) as caught:
        store.checked("0" * 64)
    assert caught.value.digest == "0" * 64


def test_damaged_blob_is_set_aside_and_counts_as_missing(store: Store) -> None:
    name = store.put(b"potion")
    poison(store, name)
    with pytest.raises(Damaged):
        store.checked(name)
    assert not store.has(name)
    (aside,) = (store.root / "quarantine").iterdir()
    assert aside.read_bytes() == b"poison"
    store.put(b"potion")
    assert store.checked(name)


def folder(store: Store, *files: tuple[str, bytes]) -> str:
    path = Path(scratched(store, b"", "made"))
    path.unlink()
    for name, data in files:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return f"{path}/"


FILES = (("model.json", b"{}"), ("unet/weights", bytes(2 << 20)), ("unet/config.json", b"{}"))


def test_folder_is_named_by_what_is_in_it(store: Store) -> None:
    name = store.take(folder(store, *FILES))
    assert name.endswith("/")
    assert store.take(folder(store, *reversed(FILES))) == name
    assert store.take(folder(store, *FILES[1:])) != name
    store.close()
    assert store.has(name)
    found = Path(store.checked(name))
    assert {
        path.relative_to(found).as_posix(): path.read_bytes() for path in found.rglob("*") if path.is_file()
    } == dict(FILES)


@pytest.mark.parametrize("member", [path for path, _ in FILES])
def test_damaged_file_of_a_folder_is_set_aside_and_the_folder_counts_as_missing(store: Store, member: str) -> None:
    name = store.take(folder(store, *FILES))
    store.close()
    damaged = Path(store.checked(name)) / member
    damaged.chmod(0o644)
    damaged.write_bytes(b"poison")
    with pytest.raises(Damaged):
        Store(store.root).checked(name)
    assert not Store(store.root).has(name)


def test_folder_that_is_put_together_wrongly_is_put_together_again(store: Store) -> None:
    name = store.take(folder(store, *FILES))
    store.close()
    (Path(store.checked(name)) / "model.json").unlink()
    with pytest.raises(Damaged):
        store.checked(name)
    assert (Path(store.checked(name)) / "model.json").read_bytes() == b"{}"


def test_link_in_a_folder_is_refused(store: Store) -> None:
    path = folder(store, *FILES)
    (Path(path) / "elsewhere").symlink_to("/etc/passwd")
    with pytest.raises(StageError, match="wrote a link into a folder, elsewhere"):
        store.take(path)


def test_scratch_of_a_killed_build_is_emptied(store: Store) -> None:
    scratched(store, b"half")
    store.fresh_scratch()
    assert list(store.scratch.iterdir()) == []


def test_reading_an_absent_store_makes_none(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    assert store.trace("key") is None
    assert store.outputs("key") is None
    assert store.description("action") is None
    assert (store.installed(), store.stand_ins(), store.files(), store.described_keys()) == ({}, {}, {}, {})
    assert (list(store.blobs()), list(store.all_outputs())) == ([], [])
    store.close()
    assert not (tmp_path / "store").exists()


@settings(max_examples=20)
@given(st.lists(st.binary(max_size=20), max_size=8))
def test_store_holds_exactly_what_was_put(tmp_path_factory: pytest.TempPathFactory, contents: list[bytes]) -> None:
    store = Store(tmp_path_factory.mktemp("store"))
    names = {store.put(data): data for data in contents}
    assert {name: Path(entry.path).read_bytes() for name, entry in store.blobs()} == names


# Traces


def reopened(store: Store) -> Store:
    store.close()
    return store


def test_trace_is_found_by_its_key(store: Store) -> None:
    trace = Trace({"image": "a" * 64}, {"seconds": 0.5, "platform": {}})
    store.record("key", "sprites.potion:paint", trace)
    assert reopened(store).trace("key") == trace
    assert store.outputs("key") == trace.outputs
    assert list(store.all_outputs()) == [("key", trace.outputs)]
    store.forget(["key"])
    assert store.trace("key") is None


def test_second_trace_of_a_key_replaces_the_first(store: Store) -> None:
    for name in ("a", "b"):
        store.record("key", "sprites.potion:paint", Trace({"image": name}, {}))
    assert reopened(store).outputs("key") == {"image": "b"}


def test_abandoned_store_keeps_what_was_committed(store: Store) -> None:
    store.record("kept", "x", Trace({}, {}), now=True)
    store.record("lost", "x", Trace({}, {}))
    store.abandon()
    assert (store.outputs("kept"), store.outputs("lost")) == ({}, None)


def test_description_reads_back(store: Store) -> None:
    described = Description("key", "paint", 1, {"prompt": "é", "size": [8, 8]}, {"image": "a" * 64})
    store.describe([("sprites.potion:paint", described), ("sprites.sword:paint", described)])
    assert reopened(store).description("sprites.potion:paint") == described
    store.describe([], gone=["sprites.potion:paint"])
    assert store.described_keys() == {"sprites.sword:paint": "key"}


def test_installed_assets_and_stand_ins_read_back(store: Store) -> None:
    store.record_installed([("assets/a.png", "1"), ("assets/b.png", "2")])
    store.record_installed([("assets/a.png", "3")], gone=["assets/b.png"])
    store.record_stand_in("locked", "here")
    assert reopened(store).installed() == {"assets/a.png": "3"}
    assert store.stand_ins() == {"locked": "here"}


def test_signatures_of_files_read_back(store: Store, tmp_path: Path) -> None:
    rows = {"/a": ((1, 2**63 - 1, 3, 4, 5), "digest")}
    store.record_files(rows)
    assert reopened(store).files() == rows


def test_damaged_database_is_told_with_its_remedy(store: Store) -> None:
    (store.root / "traces.db").write_bytes(b"not a database" * 100)
    with pytest.raises(MachineError) as caught, machine_errors():
        store.outputs("key")
    assert caught.value.message == "the trace database is damaged"
    assert "spritebuild doctor --repair" in str(caught.value)


# Files


def test_written_file_is_whole_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    write_atomic(tmp_path / "folder/file", b"one")
    write_atomic(tmp_path / "folder/file", b"two", scratch=tmp_path / "scratch")
    assert [path.read_bytes() for path in (tmp_path / "folder").iterdir()] == [b"two"]
    assert list((tmp_path / "scratch").iterdir()) == []


def test_digest_of_a_file_is_remembered_by_its_signature(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"one")
    os.utime(path, (1, 1))
    files = digest.Files({})
    assert files.of(path) == digest.of_bytes(b"one")
    assert files.fresh == {}  # just changed: its next change might leave no mark
    path.write_bytes(b"two")
    os.utime(path, (1, 1))
    assert files.of(path) == digest.of_bytes(b"two")


def test_known_signature_spares_the_hashing(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"one")
    files = digest.Files({str(path): (digest.signature(path.stat()), "remembered")})
    assert files.of(path) == "remembered"
    path.write_bytes(b"other")
    assert files.of(path) == digest.of_bytes(b"other")


def test_a_folder_that_cannot_be_listed_is_not_taken_for_an_empty_one(tmp_path, monkeypatch):
    store = Store(tmp_path / "store")
    store.fresh_scratch()
    folder = store.scratch / "files"
    folder.mkdir()
    (folder / "page.png").write_bytes(b"a page")
    scan = os.scandir

    def failing(path):
        if str(path).rstrip("/") == str(folder):
            raise OSError(errno.EIO, "Input/output error")
        return scan(path)

    monkeypatch.setattr(os, "scandir", failing)
    with pytest.raises(OSError, match="Input/output"):
        store.take(f"{folder}/")
    monkeypatch.undo()
    assert store.listed(store.take(f"{folder}/")).keys() == {"page.png"}


def test_what_cannot_be_looked_at_is_not_taken_for_absent(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    assert exists(f"{tmp_path}/file")
    assert not exists(f"{tmp_path}/none")
    assert not exists(f"{tmp_path}/file/none")
    with pytest.raises(OSError, match="symbolic links"):
        exists(f"{tmp_path}/loop")
