"""A shared store in a folder: who finds what there, what is refused, and who may write."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from projects import ISLAND, Project, Recorder

from spritebuild import digest
from spritebuild.cli import share
from spritebuild.errors import IntegrityError, PolicyError, SpritefileError
from spritebuild.shared import signed, supply
from spritebuild.spritefile import SharedStore, load

SECRET, PUBLIC = signed.new_key()
OTHER_SECRET, OTHER_PUBLIC = signed.new_key()
STORE = {"url": "../shared", "trusted": [PUBLIC]}


@pytest.fixture(autouse=True)
def nobody_in_particular(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (supply.URL, supply.WRITE):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(supply.KEY, SECRET)


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """The folder of the shared store."""
    folder = tmp_path / "shared"
    folder.mkdir()
    return folder


@pytest.fixture
def pushed(island: Project, shared: Path) -> Project:
    """The island, built, and all of it in the shared store."""
    island.write({**ISLAND, "store": STORE})
    island.build()
    push(island)
    return island


def push(project: Project, *arguments: str) -> None:
    share.push.callback(arguments, project.path, False)  # type: ignore[misc]


def pull(project: Project, *arguments: str) -> None:
    share.pull.callback(arguments, project.path, False)  # type: ignore[misc]


def traces(shared: Path) -> dict[str, Path]:
    return {path.parent.name + path.name: path for path in shared.glob("traces/*/*")}


def blobs(shared: Path) -> dict[str, Path]:
    return {path.parent.name + path.name: path for path in shared.glob("blobs/*/*")}


def test_a_clone_builds_what_the_lock_names_and_runs_nothing(pushed: Project, tmp_path: Path) -> None:
    clone = pushed.clone(tmp_path / "clone")
    told = clone.build()
    assert told.ran == []
    assert clone.assets() == pushed.assets() and len(clone.assets()) > 2
    assert any("from the shared store" in line for line in told.said)


def test_only_the_assets_come_where_they_suffice(pushed: Project, tmp_path: Path, shared: Path) -> None:
    clone = pushed.clone(tmp_path / "clone")
    clone.build()
    drawn = {path.name for path in pushed.root.glob("assets/**/*.png")}
    assert len(drawn) <= len(clone.blobs()) < len(blobs(shared))


def test_without_a_lock_signed_traces_say_it_all(pushed: Project, tmp_path: Path) -> None:
    clone = pushed.clone(tmp_path / "clone", locked=False)
    assert clone.build().ran == []
    assert clone.assets() == pushed.assets()
    assert clone.lock_text() == pushed.lock_text()


def test_what_changed_runs_and_what_it_needs_comes(pushed: Project, tmp_path: Path) -> None:
    clone = pushed.clone(tmp_path / "clone").edit("palettes.gray.colors", ["#000000", "#ffffff"])
    told = clone.build()
    assert told.ran and all("paint" not in action and "generate" not in action for action in told.ran)
    pushed.edit("palettes.gray.colors", ["#000000", "#ffffff"]).build()
    assert clone.assets() == pushed.assets()


@pytest.mark.parametrize("locked", [True, False])
def test_a_key_that_only_the_run_makes_known_is_looked_for_there(
    pushed: Project, tmp_path: Path, *, locked: bool
) -> None:
    clone = pushed.clone(tmp_path / "clone", locked=locked).edit("sprites.potion.params", {"note": "says nothing"})
    told = clone.build()
    assert len(told.ran) == 1 and "potion" in told.ran[0]  # it gave the same bytes as before
    assert clone.assets() == pushed.assets()


def test_a_forged_trace_of_a_key_that_the_run_makes_known_is_refused(
    pushed: Project, tmp_path: Path, shared: Path
) -> None:
    for path in traces(shared).values():
        document = json.loads(path.read_text())
        if json.loads(document["trace"])["action"] == "sprites.potion:finish":
            path.write_text(json.dumps(unsigned(document)))
            break
    else:
        pytest.fail("nothing to forge")
    clone = pushed.clone(tmp_path / "clone").edit("sprites.potion.params", {"note": "says nothing"})
    with pytest.raises(IntegrityError, match="not signed"):
        clone.build()
    assert clone.assets()["assets/potion.png"] == pushed.assets()["assets/potion.png"]  # it ran instead


def test_rebuild_takes_nothing_from_there(pushed: Project, tmp_path: Path) -> None:
    clone = pushed.clone(tmp_path / "clone", locked=False)
    assert len(clone.build(rebuild=True).ran) == len(pushed.graph().actions)


def test_a_lost_and_a_damaged_blob_come_back_from_there(pushed: Project) -> None:
    shutil.rmtree(pushed.root / "assets")
    lost, damaged = [digest.of_bytes(path.read_bytes()) for path in pushed.blobs().values()][:2]
    for name in (lost, damaged):
        pushed.blobs()[name].chmod(0o644)
    pushed.blobs()[lost].unlink()
    pushed.blobs()[damaged].write_bytes(b"other bytes")
    assert pushed.build().ran == []


def test_pull_brings_everything_and_the_next_build_needs_no_store(
    pushed: Project, tmp_path: Path, shared: Path
) -> None:
    clone = pushed.clone(tmp_path / "clone")
    pull(clone)
    shared.rename(tmp_path / "away")
    assert not (clone.root / "assets").exists()
    assert clone.build().ran == []
    assert clone.assets() == pushed.assets()


def test_targets_of_pull_and_push(pushed: Project, tmp_path: Path, shared: Path) -> None:
    clone = pushed.clone(tmp_path / "clone")
    pull(clone, "potion")
    assert len(clone.blobs()) == 1
    shutil.rmtree(shared)
    shared.mkdir()
    push(pushed, "sprites.potion")
    some = len(blobs(shared))
    push(pushed)
    assert 0 < some < len(blobs(shared))


def test_many_small_blobs_travel_in_packs(island: Project, shared: Path, tmp_path: Path) -> None:
    island.write({**ISLAND, "store": STORE})
    island.edit("sprites.coin", {"style": "base", "prompt": "coin", "seeds": list(range(40))}).build()
    push(island)
    assert len([*shared.glob("packs/*.index")]) == 1 and not blobs(shared)
    clone = island.clone(tmp_path / "clone")
    assert clone.build().ran == []
    assert clone.assets() == island.assets()
    push(clone)  # has nothing new
    assert len([*shared.glob("packs/*.index")]) == 1 and not blobs(shared)


def test_folders_travel_as_listings(project: Project, shared: Path, tmp_path: Path) -> None:
    declared = {**ISLAND, "store": STORE, "exports": {"page": {"kind": "json", "path": "game"}}}
    kinds = ("phaser", "pixi", "godot4", "godot", "tiled", "aseprite", "web")
    for kind in kinds:
        declared["exports"]["page"]["kind"] = kind
        project.write(declared)
        try:
            load(project.path)
        except SpritefileError:
            continue
        break
    project.build()
    push(project)
    clone = project.clone(tmp_path / "clone")
    shutil.rmtree(clone.root / "game")
    assert clone.build().ran == []
    assert {p.name: p.read_bytes() for p in (clone.root / "game").iterdir()} == {
        p.name: p.read_bytes() for p in (project.root / "game").iterdir()
    }


# What is refused


def swap(path: Path) -> None:
    path.write_bytes(b"something else that is long enough")


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize("poison", [swap, truncate])
def test_a_wrong_blob_is_refused_and_named(
    pushed: Project, shared: Path, tmp_path: Path, poison: Callable[[Path], None]
) -> None:
    name = pushed.lock()["assets/sprites/potion.png"].digest if "assets/sprites/potion.png" in pushed.lock() else ""
    name = name or next(entry.digest for path, entry in pushed.lock().items() if "potion" in path)
    path = blobs(shared)[name]
    path.chmod(0o644)
    poison(path)
    clone = pushed.clone(tmp_path / "clone")
    with pytest.raises(IntegrityError) as caught:
        clone.build()
    assert caught.value.exit_code == 4
    assert f"blobs/{name[:2]}/{name[2:]}" in str(caught.value)
    assert name not in clone.blobs() and [*(clone.root / ".spritebuild/quarantine").iterdir()]
    assert clone.blobs()  # the others are here
    finished = clone.cli("build")
    assert finished.returncode == 4 and f"blobs/{name[:2]}/{name[2:]}" in finished.stderr


def test_a_wrong_pack_is_refused_and_named(island: Project, shared: Path, tmp_path: Path) -> None:
    island.write({**ISLAND, "store": STORE})
    island.edit("sprites.coin", {"style": "base", "prompt": "coin", "seeds": list(range(40))}).build()
    push(island)
    (index,) = shared.glob("packs/*.index")
    pack = index.with_suffix("")
    data = bytearray(pack.read_bytes())
    wanted = {entry.digest for entry in island.lock().values()}
    for name, (offset, _) in json.loads(index.read_text()).items():
        data[offset] ^= name in wanted
    pack.chmod(0o644)
    pack.write_bytes(data)
    with pytest.raises(IntegrityError, match=f"packs/{pack.name}"):
        island.clone(tmp_path / "one").build()
    pack.write_bytes(data[:-10])
    with pytest.raises(IntegrityError, match="truncated"):
        island.clone(tmp_path / "two").build()
    index.write_text('{"x": [-1, 5]}')
    with pytest.raises(IntegrityError, match="no index"):
        island.clone(tmp_path / "three").build()


def forged(document: dict[str, str]) -> dict[str, str]:
    trace = json.loads(document["trace"])
    trace["outputs"] = dict.fromkeys(trace["outputs"], "0" * 64)
    return {**document, "trace": digest.canonical(trace).decode()}


def unsigned(document: dict[str, str]) -> dict[str, str]:
    return {"trace": document["trace"]}


def by_another(document: dict[str, str]) -> dict[str, str]:
    trace = json.loads(document["trace"])
    return json.loads(signed.write(trace["key"], "", trace["outputs"], trace["provenance"], OTHER_SECRET))


def with_another_signer(document: dict[str, str]) -> dict[str, str]:
    return {**by_another(document), "by": PUBLIC}


@pytest.mark.parametrize("forge", [forged, unsigned, by_another, with_another_signer])
def test_a_trace_that_nobody_trusted_signed_is_refused_and_named(
    pushed: Project, shared: Path, tmp_path: Path, forge: Callable[[dict[str, str]], dict[str, str]]
) -> None:
    for path in traces(shared).values():
        path.write_text(json.dumps(forge(json.loads(path.read_text()))))
    clone = pushed.clone(tmp_path / "clone", locked=False)
    with pytest.raises(IntegrityError, match="traces/") as caught:
        clone.build()
    assert caught.value.exit_code == 4
    assert not clone.blobs() and not (clone.root / "assets").exists()


def test_a_trace_of_another_key_is_refused_and_named(pushed: Project, shared: Path, tmp_path: Path) -> None:
    found = [path for _, path in sorted(traces(shared).items())]
    documents = [path.read_bytes() for path in found]
    for path, data in zip(found, documents[1:] + documents[:1], strict=True):
        path.write_bytes(data)
    with pytest.raises(IntegrityError, match="another key"):
        pushed.clone(tmp_path / "clone", locked=False).build()


@pytest.mark.parametrize("junk", [b"", b"{", b"[]", b'{"trace": 1}', b'{"trace": "{}"}', b"\xff" * 9])
def test_junk_for_a_trace_is_refused(junk: bytes) -> None:
    for trusted in (None, [PUBLIC]):
        with pytest.raises(signed.Refused):
            signed.read(junk, "a" * 64, trusted)


def test_any_trace_is_taken_where_the_spritefile_says_so_and_none_where_it_says_none(
    pushed: Project, shared: Path, tmp_path: Path
) -> None:
    for path in traces(shared).values():
        path.write_text(json.dumps(unsigned(json.loads(path.read_text()))))
    clone = pushed.clone(tmp_path / "any", locked=False)
    assert clone.edit("store.traces", "any").build().ran == []
    clone = pushed.clone(tmp_path / "none", locked=False)
    assert len(clone.edit("store.traces", "none").build().ran) == len(clone.graph().actions)


def test_a_listing_that_leads_out_of_its_folder_is_refused(island: Project, shared: Path, tmp_path: Path) -> None:
    from spritebuild.shared.store import Shared
    from spritebuild.shared.transport import Folder
    from spritebuild.store import Store

    listing = digest.canonical({"../../out": "0" * 64})
    name = digest.of_bytes(listing)
    (shared / f"blobs/{name[:2]}").mkdir(parents=True)
    (shared / f"blobs/{name[:2]}/{name[2:]}").write_bytes(listing)
    beside = Shared(Folder(shared), "here", Store(tmp_path / "local"))
    beside.fetch([f"{name}/"])
    with pytest.raises(IntegrityError, match="no listing"):
        beside.raise_faults()


def test_push_names_a_blob_of_another_size_and_leaves_it(pushed: Project, shared: Path) -> None:
    name, path = min(blobs(shared).items())
    path.chmod(0o644)
    path.write_bytes(b"x")
    with pytest.raises(IntegrityError, match=f"blobs/{name[:2]}/{name[2:]}"):
        push(pushed)
    assert path.read_bytes() == b"x"


# Whether it can be reached


def test_a_store_that_is_not_there_is_a_warning(pushed: Project, shared: Path, tmp_path: Path) -> None:
    shared.rename(tmp_path / "away")
    clone = pushed.clone(tmp_path / "clone")
    told = clone.build()
    assert told.ran and clone.assets() == pushed.assets()
    assert any("cannot be reached" in line for line in told.said)
    assert clone.cli("pull").returncode == 0  # nothing is lacking any more
    shutil.rmtree(clone.root / "assets")
    shutil.rmtree(clone.root / ".spritebuild")
    assert clone.cli("pull").returncode == 5


def test_a_folder_that_is_not_there_is_not_made_by_a_push(pushed: Project, shared: Path, tmp_path: Path) -> None:
    shared.rename(tmp_path / "away")
    finished = pushed.cli("push")
    assert finished.returncode == 5 and "no such folder" in finished.stderr and not shared.exists()


def test_offline_asks_nothing(pushed: Project, tmp_path: Path) -> None:
    clone = pushed.clone(tmp_path / "clone")
    finished = clone.cli("build", "--offline")
    assert finished.returncode == 0 and "to run" in finished.stderr and "shared store" not in finished.stderr


def test_the_environment_names_another_store_or_none(
    pushed: Project, shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared.rename(tmp_path / "elsewhere")
    monkeypatch.setenv(supply.URL, str(tmp_path / "elsewhere"))
    assert pushed.clone(tmp_path / "one").build().ran == []
    monkeypatch.setenv(supply.URL, "")
    assert pushed.clone(tmp_path / "two").build().ran


def test_a_password_in_the_url_is_a_fault(island: Project) -> None:
    island.write({**ISLAND, "store": {"url": "webdavs://me:secret@host/store"}})
    with pytest.raises(SpritefileError, match="password"):
        load(island.path)


# Who may write


def test_who_may_write(tmp_path: Path) -> None:
    ask = SharedStore(url="x")
    supply.require_writing(ask, {})
    supply.require_writing(ask, {"CI": "true", supply.WRITE: "1"})
    for environ in ({"CI": "true"}, {"CI": "true", supply.WRITE: "0"}, {supply.WRITE: "0"}):
        with pytest.raises(PolicyError, match="read-only"):
            supply.require_writing(ask, environ)
    with pytest.raises(PolicyError, match="never"):
        supply.require_writing(SharedStore(url="x", push="never"), {})


@pytest.mark.parametrize("event", ["pull_request", "pull_request_target"])
def test_a_pull_request_of_a_fork_never_writes(tmp_path: Path, event: str) -> None:
    file = tmp_path / "event.json"
    environ = {"CI": "true", supply.WRITE: "1", "GITHUB_EVENT_NAME": event, "GITHUB_EVENT_PATH": str(file)}
    assert supply.read_only(environ)  # it does not say where it comes from
    sides = {"head": {"repo": {"full_name": "them/game"}}, "base": {"repo": {"full_name": "us/game"}}}
    file.write_text(json.dumps({"pull_request": sides}))
    assert supply.read_only(environ)
    sides["head"] = sides["base"]
    file.write_text(json.dumps({"pull_request": sides}))
    assert supply.read_only(environ) is None
    merge = {supply.WRITE: "1", "CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "2", "CI_MERGE_REQUEST_PROJECT_ID": "1"}
    assert supply.read_only(merge)


def test_builds_push_where_the_spritefile_says_so_and_they_may(
    island: Project, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    island.write({**ISLAND, "store": {**STORE, "push": "build"}})
    monkeypatch.setenv("CI", "true")
    island.build("potion")
    assert not blobs(shared)
    monkeypatch.setenv(supply.WRITE, "1")
    told: Recorder = island.build()
    assert blobs(shared) and traces(shared)
    assert any("to the shared store" in line for line in told.said)


def test_a_key_that_the_spritefile_does_not_trust_signs_nothing(
    pushed: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(supply.KEY, OTHER_SECRET)
    with pytest.raises(PolicyError, match="does not trust"):
        push(pushed)


def test_without_a_key_only_blobs_are_pushed(island: Project, shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(supply.KEY)
    island.write({**ISLAND, "store": STORE}).build()
    push(island)
    assert blobs(shared) and not traces(shared)


def test_many_may_push_at_once(pushed: Project, shared: Path, tmp_path: Path) -> None:
    before = {name: path.read_bytes() for name, path in blobs(shared).items()}
    clones = [pushed.clone(tmp_path / f"clone-{n}", store=True) for n in range(6)]
    shutil.rmtree(shared)
    shared.mkdir()
    with ThreadPoolExecutor(6) as pool:
        codes = [done.returncode for done in pool.map(lambda clone: clone.cli("push"), clones)]
    assert codes == [0] * 6
    assert {name: path.read_bytes() for name, path in blobs(shared).items()} == before
    assert not [*(shared / "incoming").iterdir()]


def test_numbers_for_programs(pushed: Project, tmp_path: Path) -> None:
    clone = pushed.clone(tmp_path / "clone")
    told = json.loads(clone.cli("pull", "--json").stdout)
    assert told["event"] == "pulled" and told["hit_rate"] == 1.0 and told["to_run"] == 0
    assert told["blobs"] == told["asked"] == told["found"] and told["bytes"] > 0
    told = json.loads(pushed.cli("push", "--json").stdout)
    assert told["event"] == "pushed" and told["blobs"] == told["traces"] == 0


def test_a_key_is_made_and_used(island: Project) -> None:
    made = json.loads(island.cli("store-key", "--json").stdout)
    assert signed.public_of(made["private"]) == made["public"]
