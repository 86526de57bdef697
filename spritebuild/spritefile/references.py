"""What the declarations of a spritefile say of each other and of the files beside it; reads no TOML."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

from spritebuild import __version__
from spritebuild.pinned.sources.dvc import can_pull
from spritebuild.spritefile.declarations import Look, Project, Tables
from spritebuild.spritefile.mistakes import Mistake, alternatives, say

PATH_HINT = "paths are relative to the folder of the spritefile and stay in it"
LONGEST_NAME, LONGEST_PATH = 255, 1000  # bytes that every file system takes
NOT_FOR_ASSETS = (".spritebuild", ".git")
PALETTE_KEYS = ("palette", "to")  # of finishing ops

Keys = tuple[str | int, ...]


def inside(root: Path, relative: str) -> Path:
    """The resolved path; raises ValueError if it is absolute, has a drive or "..", or leaves root through a symlink."""
    check_relative(relative)
    top = root.resolve()
    path = top / relative
    try:
        path = path.resolve(strict=True)
    except FileNotFoundError:
        path = path.resolve()
    except (OSError, RuntimeError) as error:  # a loop of symlinks, a file used as a folder, a broken disk
        raise ValueError(f"cannot be resolved: {getattr(error, 'strerror', None) or error}") from None
    if not path.is_relative_to(top):
        raise ValueError("leaves the project through a symlink")
    return path


def check_relative(relative: str) -> None:
    """Raises ValueError for a path, or glob, that does not stay below where it starts, on any platform."""
    path = PureWindowsPath(relative)  # knows drives, and both kinds of slashes
    if path.drive or path.root:
        raise ValueError("is absolute")
    if ".." in path.parts:
        raise ValueError('contains ".."')
    if "\0" in relative:
        raise ValueError("contains a null character")
    if max(len(part.encode()) for part in (*path.parts, "")) > LONGEST_NAME or len(relative.encode()) > LONGEST_PATH:
        raise ValueError("is too long")


@dataclass(frozen=True)
class Draft:
    """Declarations of which each is well-formed; `names` are all that were declared, also those that are not."""

    root: Path
    spritefile: Path
    project: Project | None
    tables: Tables
    names: Mapping[str, Mapping[str, object]]


def check(draft: Draft) -> Iterator[Mistake]:
    """Every name that is not declared, every cycle, every path that is missing or leaves the project."""
    if draft.project is not None:
        yield from _project(draft, draft.project)
    yield from _sources(draft)
    yield from _trainings(draft)
    yield from _categories(draft)
    yield from _exports(draft)
    for name, style in draft.tables.styles.items():
        yield from _look(draft, ("styles", name), style)
        if style.extends is not None:
            yield from _known(draft, ("styles", name, "extends"), style.extends, "styles")
    for name, sprite in draft.tables.sprites.items():
        if sprite.style is not None:
            yield from _known(draft, ("sprites", name, "style"), sprite.style, "styles")
        yield from _look(draft, ("sprites", name), sprite)
    yield from _cycles(draft)


def _known(draft: Draft, path: Keys, name: str, table: str) -> Iterator[Mistake]:
    declared = draft.names[table]
    if name not in declared:
        hint = alternatives(name, declared, table) or f"declare [{table}.NAME]"
        yield Mistake(path, f"unknown {table[:-1]} {say(name)}", hint, key=False)


def _look(draft: Draft, path: Keys, look: Look) -> Iterator[Mistake]:
    if look.model is not None:
        yield from _known(draft, (*path, "model"), look.model, "models")
    for index, use in enumerate(look.loras or ()):
        yield from _known(draft, (*path, "loras", index, "name"), use.name, "loras")
    for index, entry in enumerate(look.finish or ()):
        for key in PALETTE_KEYS:
            palette = entry.get(key)
            if "op" in entry and isinstance(palette, str) and "{" not in palette:  # of a matrix: seen when resolved
                yield from _known(draft, (*path, "finish", index, key), palette, "palettes")


def _cycles(draft: Draft) -> Iterator[Mistake]:
    styles = draft.tables.styles
    done: set[str] = set()
    for start in styles:
        chain: dict[str, None] = {}
        name: str | None = start
        while name is not None and name in styles and name not in done:
            if name in chain:
                cycle = list(chain)[list(chain).index(name) :]
                message = f"styles extend each other: {' -> '.join([*cycle, name])}"
                yield Mistake(("styles", name, "extends"), message, "take one extends out", key=False)
                break
            chain[name] = None
            name = styles[name].extends
        done.update(chain)


def _project(draft: Draft, project: Project) -> Iterator[Mistake]:
    yield from _assets(draft, project.assets)
    if project.stages is not None:
        yield from _present(draft, ("project", "stages"), project.stages, folder=True)
    if project.requires is not None:
        from packaging.specifiers import SpecifierSet

        if not SpecifierSet(project.requires).contains(__version__, prereleases=True):
            message = f"this project requires spritebuild {project.requires}, this is {__version__}"
            hint = f'install it: pip install "spritebuild{project.requires}"'
            yield Mistake(("project", "requires"), message, hint, key=False)


def _assets(draft: Draft, assets: str) -> Iterator[Mistake]:
    path: Keys = ("project", "assets")
    try:
        folder = inside(draft.root, assets)
    except ValueError as error:
        yield Mistake(path, f"assets {say(assets)} {error}", PATH_HINT, key=False)
        return
    top = folder.relative_to(draft.root).parts[:1]
    if not top or draft.spritefile.is_relative_to(folder):
        message = f"assets {say(assets)} is the folder of the spritefile"
        yield Mistake(path, message, 'give the pictures a folder of their own, such as "assets"', key=False)
    elif top[0].casefold() in NOT_FOR_ASSETS:
        message = f"assets {say(assets)} lies in {top[0]}"
        yield Mistake(path, message, 'give the pictures a folder of their own, such as "assets"', key=False)


def _sources(draft: Draft) -> Iterator[Mistake]:
    for name, model in draft.tables.models.items():
        if model.path is not None and not can_pull(draft.root, model.path):
            yield from _present(draft, ("models", name, "path"), model.path, folder=model.config is None)
        if model.config is not None:
            yield from _present(draft, ("models", name, "config"), model.config, folder=True)
    for name, lora in draft.tables.loras.items():
        if lora.path is not None and not can_pull(draft.root, lora.path):
            yield from _present(draft, ("loras", name, "path"), lora.path)
    for name, dataset in draft.tables.datasets.items():
        if dataset.path is not None:
            yield from _present(draft, ("datasets", name, "path"), dataset.path, folder=True)
        if dataset.corrections is not None:
            yield from _present(draft, ("datasets", name, "corrections"), dataset.corrections)
    for name, palette in draft.tables.palettes.items():
        if palette.file is not None:
            yield from _present(draft, ("palettes", name, "file"), palette.file)
        if palette.save is not None:
            keys = ("palettes", name, "save")
            mistakes = [*_inside(draft, keys, palette.save)]
            yield from mistakes
            if not mistakes and (what := _reserved(draft, _parts(palette.save))):
                yield Mistake(keys, f"save {say(palette.save)} lies in {what}", "put it elsewhere", key=False)


def _trainings(draft: Draft) -> Iterator[Mistake]:
    """Every name that what is trained here gives of something else."""
    refers = {
        "dataset": "datasets",
        "vae": "vaes",
        "model": "models",
        "init": "models",
        "text": "models",
        "features": "models",
        "classifier": "classifiers",
    }
    for table in ("vaes", "classifiers", "evaluations", "models", "loras"):
        for name, declared in getattr(draft.tables, table).items():
            for key, other in refers.items():
                said = getattr(declared, key, None)
                if said is not None:
                    yield from _known(draft, (table, name, key), said, other)
    yield from _circles(draft)


def _circles(draft: Draft) -> Iterator[Mistake]:
    """Models, each of which is trained from the next, in a circle."""
    needs: dict[tuple[str, str | None], list[tuple[str, str | None]]] = {
        **{
            ("models", name): [("models", m.init), ("models", m.text), ("vaes", m.vae)]
            for name, m in draft.tables.models.items()
        },
        **{("vaes", name): [("models", v.init)] for name, v in draft.tables.vaes.items()},
    }
    for start in needs:
        seen: set[tuple[str, str | None]] = set()
        todo: list[tuple[str, str | None]] = list(needs[start])
        while todo:
            one = todo.pop()
            if one == start:
                yield Mistake(
                    (start[0], start[1] or ""), f"{start[0]}.{start[1]} is trained from itself", "take one init out"
                )
                break
            if one not in seen:
                seen.add(one)
                todo += needs.get(one, ())


def _exports(draft: Draft) -> Iterator[Mistake]:
    """Every export has a folder of its own, of which nothing else is a part."""
    taken: dict[tuple[str, ...], str] = {}
    if draft.project is not None:
        taken[_real(draft, draft.project.assets)] = "the assets"
    for name, export in draft.tables.exports.items():
        path: Keys = ("exports", name, "path")
        mistakes = [*_inside(draft, path, export.path)]
        yield from mistakes
        if mistakes:
            continue
        parts = _real(draft, export.path)
        if not parts or _reserved(draft, parts):
            hint = 'give the export a folder of its own, such as "game/sprites"'
            yield Mistake(path, f"path {say(export.path)} cannot be an export's folder", hint, key=False)
            continue
        for others, what in taken.items():
            if parts == others[: len(parts)] or others == parts[: len(others)]:
                message = f"path {say(export.path)} overlaps with {what}"
                yield Mistake(path, message, "give each export a folder of its own", key=False)
        taken[parts] = f"exports.{name}"


def _real(draft: Draft, path: str) -> tuple[str, ...]:
    """The parts of a path where its links lead."""
    try:
        return _parts(inside(draft.root, path).relative_to(draft.root.resolve()).as_posix())
    except ValueError:
        return _parts(path)


def _reserved(draft: Draft, parts: tuple[str, ...]) -> str:
    """The folder that is for something else, if a path lies in one."""
    others = [*NOT_FOR_ASSETS, "lockfiles"]
    if draft.project is not None and draft.project.stages is not None:
        others.append(draft.project.stages)
    return next((other for other in others if parts[: len(_parts(other))] == _parts(other)), "")


def _parts(path: str) -> tuple[str, ...]:
    return tuple(part.lower() for part in PureWindowsPath(path).parts)


def _inside(draft: Draft, keys: Keys, relative: str) -> Iterator[Mistake]:
    try:
        inside(draft.root, relative)
    except ValueError as error:
        yield Mistake(keys, f"{keys[-1]} {say(relative)} {error}", PATH_HINT, key=False)


def _present(draft: Draft, keys: Keys, relative: str, *, folder: bool = False) -> Iterator[Mistake]:
    try:
        path = inside(draft.root, relative)
    except ValueError as error:
        yield Mistake(keys, f"{keys[-1]} {say(relative)} {error}", PATH_HINT, key=False)
        return
    try:
        there = path.is_dir() if folder else path.is_file()
    except OSError as error:
        yield Mistake(keys, f"{keys[-1]} {say(relative)} cannot be read: {error.strerror}", key=False)
        return
    if not there:
        yield Mistake(keys, f"{'folder' if folder else 'file'} {say(relative)} does not exist", key=False)


def _categories(draft: Draft) -> Iterator[Mistake]:
    assets = draft.project.assets if draft.project is not None else "assets"
    wrong: dict[str, str | None] = {}  # many sprites share a category, and resolving a path is slow
    for table in ("sprites", "sheets"):
        for name, declared in getattr(draft.tables, table).items():
            category = declared.category
            if category is None:
                continue
            if category not in wrong:
                wrong[category] = _wrong_category(draft.root, assets, category)
            if wrong[category] is not None:
                message = f"category {say(category)} {wrong[category]}"
                yield Mistake((table, name, "category"), message, "a category is a folder below assets", key=False)


def _wrong_category(root: Path, assets: str, category: str) -> str | None:
    try:
        check_relative(category)
        inside(root, os.path.join(assets, category))
    except ValueError as error:
        return str(error)
    return None
