"""The lock: what is read is what was written, and damage is told with its line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spritebuild import lock
from spritebuild.errors import LockError
from spritebuild.lock import Entry

POTION = Entry("assets/potion.png", "a" * 64, "b" * 64)
LOOKS = {"size": [32, 32], "colors": 3} | dict.fromkeys(("pixels", "phash", "dhash", "silhouette"), "f")
SWORD = Entry("assets/sword.png", "c" * 64, "d" * 64, "d" * 64, "e" * 12, LOOKS)

digests = st.text("0123456789abcdef", min_size=64, max_size=64)


def _below(path: str) -> bool:
    return path[0] != "/" and path[-1] != "*" and "\0" not in path and ".." not in path.split("/")


sizes = st.lists(st.integers(1, 99), min_size=2, max_size=2)
looks = st.just({}) | sizes.map(lambda size: {**LOOKS, "size": size})
entries = st.lists(
    st.builds(
        Entry, st.text(min_size=1).filter(_below), digests, digests, st.just("") | digests, st.text(max_size=3), looks
    ),
    unique_by=lambda entry: entry.path,
    max_size=8,
)


def write(root: Path, text: str | bytes) -> None:
    (root / "lockfiles").mkdir(exist_ok=True)
    (root / lock.PATH).write_bytes(text.encode() if isinstance(text, str) else text)


def test_project_without_a_lock_has_an_empty_one(tmp_path: Path) -> None:
    assert lock.read(tmp_path) == {}
    assert lock.files(tmp_path) == []
    assert not lock.write(tmp_path, [])
    assert not (tmp_path / "lockfiles").exists()


@pytest.mark.parametrize(
    "row",
    [
        {"path": "../victim"},
        {"path": "/etc/victim"},
        {"path": "a/../../victim"},
        {"path": ".git/config"},
        {"path": "out/*", "files": {"../../victim": "0" * 64}},
        {"path": "out/*", "files": {"/etc/victim": "0" * 64}},
        {"path": "out/*", "files": {"a": 1}},
    ],
)
def test_line_that_leads_out_of_the_project_is_refused(tmp_path: Path, row: dict[str, object]) -> None:
    write(tmp_path, json.dumps({"recipe": "x", "digest": "0" * 64, **row}) + "\n")
    with pytest.raises(LockError, match="not an entry"):
        lock.read(tmp_path)


@pytest.mark.parametrize(
    "row",
    [
        {"digest": "../../victim"},
        {"approved": "/etc/victim"},
        {"before": {"digest": "../../victim"}},
        {"before": {"digest": "0" * 64, "files": {"a": "../../victim"}}},
        {"before": {"digest": "0" * 64, "files": {"../victim": "0" * 64}}},
        {"files": {"a": "../../victim"}},
        {"pick": {"seed": 1, "digest": "../../victim"}},
    ],
)
def test_digest_that_leads_out_of_the_store_is_refused(tmp_path: Path, row: dict[str, object]) -> None:
    write(tmp_path, json.dumps({"path": "a", "recipe": "x", "digest": "0" * 64, **row}) + "\n")
    with pytest.raises(LockError, match="not an entry"):
        lock.read(tmp_path)


@pytest.mark.parametrize(
    "looks",
    [
        "text",
        {"size": [1, 1]},
        {**LOOKS, "size": [1]},
        {**LOOKS, "size": "ab"},
        {**LOOKS, "colors": "3"},
        {**LOOKS, "phash": "not hexadecimal"},
        {**LOOKS, "pixels": [1]},
        {**LOOKS, "palette": 1},
    ],
)
def test_fingerprints_that_are_none_are_damage(tmp_path: Path, looks: object) -> None:
    row = {"path": "a", "recipe": "x", "digest": "0" * 64, "approved": "1" * 64}
    for more in ({"looks": looks}, {"before": {"digest": "1" * 64, "looks": looks}}):
        write(tmp_path, json.dumps({**row, **more}) + "\n")
        with pytest.raises(LockError, match="not an entry"):
            lock.read(tmp_path)


def test_reasons_that_are_no_texts_are_damage(tmp_path: Path) -> None:
    for why in ("abc", [1]):
        before = {"digest": "1" * 64, "why": why}
        write(tmp_path, json.dumps({"path": "a", "recipe": "x", "digest": "0" * 64, "before": before}) + "\n")
        with pytest.raises(LockError, match="not an entry"):
            lock.read(tmp_path)


def test_brackets_without_end_are_damage(tmp_path: Path) -> None:
    write(tmp_path, lock.text([POTION]) + "[" * 100_000 + "\n")
    with pytest.raises(LockError, match="not an entry"):
        lock.read(tmp_path)


@settings(max_examples=30)
@given(entries)
def test_lock_reads_back(tmp_path_factory: pytest.TempPathFactory, rows: list[Entry]) -> None:
    root = tmp_path_factory.mktemp("project")
    lock.write(root, rows)
    assert lock.read(root) == {entry.path: entry for entry in rows}
    assert not lock.write(root, reversed(rows))


@given(entries)
def test_text_is_sorted_one_json_object_a_line(rows: list[Entry]) -> None:
    lines = lock.text(rows).split("\n")
    assert lines.pop() == ""
    assert [json.loads(line)["path"] for line in lines] == sorted(entry.path for entry in rows)


def test_text_leaves_out_what_says_nothing() -> None:
    assert lock.text([SWORD, POTION]) == (
        f'{{"digest":"{"b" * 64}","path":"assets/potion.png","recipe":"{"a" * 64}"}}\n'
        f'{{"approved":"{"d" * 64}","digest":"{"d" * 64}","looks":{{"colors":3,"dhash":"f","phash":"f",'
        f'"pixels":"f","silhouette":"f","size":[32,32]}},"path":"assets/sword.png",'
        f'"platform":"{"e" * 12}","recipe":"{"c" * 64}"}}\n'
    )


def test_ten_thousand_entries_load(tmp_path: Path) -> None:
    rows = [Entry(f"assets/{number:05}.png", "a" * 64, "b" * 64) for number in range(10_000)]
    lock.write(tmp_path, rows)
    assert len(lock.read(tmp_path)) == 10_000


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "not an entry: {"),
        ("", "not an entry: "),
        ("[]", "not an entry: []"),
        ('{"path":"x"}', 'not an entry: {"path":"x"}'),
        ('{"path":"x","recipe":"a","digest":"b","more":1}', "not an entry: {"),
        ("<<<<<<< HEAD", "an unresolved merge conflict"),
        ("=======", "an unresolved merge conflict"),
        (">>>>>>> main", "an unresolved merge conflict"),
    ],
)
def test_damaged_line_is_told_with_its_number(tmp_path: Path, line: str, message: str) -> None:
    write(tmp_path, lock.text([POTION]) + line + "\n" + lock.text([SWORD]))
    with pytest.raises(LockError) as caught:
        lock.read(tmp_path)
    assert caught.value.exit_code == 3
    assert caught.value.where == "lockfiles/sprites.lock:2"
    assert caught.value.message.startswith(message)
    assert caught.value.hint


@pytest.mark.parametrize("row", [{"path": 1, "recipe": "a", "digest": "b"}, {"path": "x", "recipe": "a", "digest": []}])
def test_values_of_another_type_are_damage(tmp_path: Path, row: dict[str, object]) -> None:
    write(tmp_path, json.dumps(row) + "\n")
    with pytest.raises(LockError, match="not an entry"):
        lock.read(tmp_path)


def test_lines_that_are_two_halves_are_damage(tmp_path: Path) -> None:
    text = lock.text([POTION])
    write(tmp_path, text.replace(',"path"', ',\n"path"'))
    with pytest.raises(LockError) as caught:
        lock.read(tmp_path)
    assert caught.value.where == "lockfiles/sprites.lock:1"


def test_asset_that_is_there_twice_is_damage(tmp_path: Path) -> None:
    write(tmp_path, lock.text([POTION, SWORD]) + lock.text([POTION]))
    with pytest.raises(LockError, match=r"assets/potion\.png is there twice"):
        lock.read(tmp_path)


def test_other_bytes_than_text_are_damage(tmp_path: Path) -> None:
    write(tmp_path, b"\xff\xfe")
    with pytest.raises(LockError, match="is not UTF-8 text"):
        lock.read(tmp_path)


def test_new_bytes_keep_the_former_approval() -> None:
    new = Entry(SWORD.path, "1" * 64, "2" * 64)
    assert lock.renewed(SWORD, new).approved == SWORD.approved
    assert lock.renewed(None, new) == new


def test_platforms_read_back_as_far_as_entries_name_them(tmp_path: Path) -> None:
    platforms = {"e" * 12: {"device": "cuda", "torch": "2.9"}, "f" * 12: {"device": "cpu"}}
    lock.write_platforms(tmp_path, platforms, [POTION, SWORD])
    assert lock.read_platforms(tmp_path) == {"e" * 12: {"device": "cuda", "torch": "2.9"}}
    lock.write_platforms(tmp_path, {}, [SWORD])
    assert list(lock.read_platforms(tmp_path)) == ["e" * 12]


@pytest.mark.parametrize("line", ["{", "[]", '{"device":"cpu"}'])
def test_damaged_platform_is_told_with_its_line(tmp_path: Path, line: str) -> None:
    (tmp_path / "lockfiles").mkdir()
    (tmp_path / lock.PLATFORMS).write_text(f'{{"platform":"a"}}\n{line}\n')
    with pytest.raises(LockError) as caught:
        lock.read_platforms(tmp_path)
    assert caught.value.where == f"{lock.PLATFORMS}:2"
