"""What a build depends on, as places: which saves concern it and which do not."""

from __future__ import annotations

from pathlib import Path

from projects import Project

from spritebuild.project import opened
from spritebuild.watch.watched import Watched


def watched(project: Project) -> Watched:
    with opened(project.path) as read:
        return Watched.of(read)


def concerned(project: Project, *paths: str) -> list[str]:
    """Those of some paths of a project whose changes count."""
    found = watched(project)
    return [path for path in paths if found.concerns(f"{project.root}/{path}")]


def test_the_declarations_the_lock_and_the_stages_count(island: Project) -> None:
    island.build()
    ours = ["spritefile.toml", "stages/paint.py", "stages/new.py", "stages", "lockfiles/sprites.lock"]
    assert concerned(island, *ours) == ours
    others = [
        "assets/potion.png",
        "assets/items.png",
        "assets/items.json",
        "assets",
        "README.md",
        "stages/notes.txt",
        "stages/.paint.py.swp",
        "stages/paint.py~",
        ".spritebuild/traces.db",
        ".spritebuild",
        ".git/index",
        "4913",
        "lockfiles/toolchain.lock",
        "spritefile.toml.bak",
    ]
    assert concerned(island, *others) == []


def test_files_that_a_glob_would_find_count_when_they_come_and_go(island: Project) -> None:
    island.file("parts/a/one.toml", '[sprites.one]\nstyle = "base"\nprompt = "one"\n')
    island.write({"include": ["parts/**/*.toml"], **island.declared})
    assert concerned(island, "parts/a/one.toml", "parts/a/two.toml", "parts/a/notes.md") == ["parts/a/one.toml"]
    before = watched(island)
    new = island.file("parts/b/two.toml", '[sprites.two]\nstyle = "base"\nprompt = "two"\n')
    assert before.concerns(str(new))
    assert f"{island.root}/parts/a" in before.folders()
    assert f"{island.root}/parts/b" in watched(island).folders()


def test_weights_in_the_project_count_with_all_that_is_in_them(pressed: Project) -> None:
    pressed.build()
    ours = ["weights/unet/config.json", "weights/unet/new.safetensors", "weights/vae"]
    found = watched(pressed)
    assert [path for path in ours if found.concerns(f"{pressed.root}/{path}")] == ours
    assert any(path.endswith("mine.dvc") for path in found.files)
    assert f"{pressed.root}/weights/unet" in found.folders()
    assert concerned(pressed, "weights/.cache", "weights/unet/x.part") == []


def test_palettes_count_even_where_no_sprite_has_them(island: Project) -> None:
    island.file("art/unused.hex", "000000\nffffff\n")
    island.edit("palettes.unused", {"file": "art/unused.hex"})
    assert concerned(island, "art/unused.hex", "art/other.hex") == ["art/unused.hex"]


def test_links_are_followed_to_what_they_lead_to(island: Project, tmp_path: Path) -> None:
    real = tmp_path / "shared/gray.hex"
    real.parent.mkdir()
    real.write_text("000000\nffffff\n")
    (island.root / "art").mkdir()
    link = island.root / "spritefile-real.toml"
    island.path.rename(tmp_path / "shared/declared.toml")
    island.path.symlink_to(tmp_path / "shared/declared.toml")
    found = watched(island)
    assert found.concerns(str(island.path))
    assert found.concerns(str(tmp_path / "shared/declared.toml"))
    assert str(tmp_path / "shared") in found.folders()
    assert not link.exists()


def test_where_nothing_gives_notice_every_change_is_seen_by_looking(island: Project) -> None:
    island.build()
    before = watched(island).state()
    assert watched(island).state() == before
    island.edit("sprites.potion.prompt", "blue")
    island.file("stages/new.py", "x = 1\n")
    after = watched(island).state()
    changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    assert {f"{island.root}/spritefile.toml", f"{island.root}/stages/new.py"} <= changed
    assert not any("/assets/" in path for path in after)


def test_of_a_broken_spritefile_any_file_may_be_the_remedy_but_ours(island: Project) -> None:
    island.build()
    found = Watched.of_broken(island.path, watched(island))
    assert found.concerns(f"{island.root}/anything.txt")
    assert found.concerns(f"{island.root}/art/new.hex")
    assert not found.concerns(f"{island.root}/assets/potion.png")
    assert not found.concerns(f"{island.root}/.spritebuild/traces.db")
    assert not found.concerns(f"{island.root}/.git/index")
    assert not found.concerns(f"{island.root}/node_modules/x/index.js")
