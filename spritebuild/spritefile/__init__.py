"""The spritefile: loads it with the files that it includes, and reports every fault at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from spritebuild.errors import Fault, SpritefileError, UsageError
from spritebuild.spritefile.declarations import (
    DECLARED,
    Classifier,
    Dataset,
    Document,
    Evaluation,
    Export,
    Look,
    Lora,
    LoraUse,
    Model,
    Palette,
    Project,
    Sheet,
    Sprite,
    Style,
    Tables,
    TomlSchema,
    Vae,
    json_schema,
)
from spritebuild.spritefile.mistakes import Mistake, explain, say
from spritebuild.spritefile.origins import Dvc, Git
from spritebuild.spritefile.references import PATH_HINT, Draft, check, check_relative, inside
from spritebuild.spritefile.rules import Budget, Check, Cost, Policy, Rate, SharedStore
from spritebuild.spritefile.source import SourceFile, dotted, point, read
from spritebuild.spritefile.tiers import Tiers

__all__ = [
    "Budget",
    "Check",
    "Classifier",
    "Cost",
    "Dataset",
    "Dvc",
    "Evaluation",
    "Export",
    "Git",
    "Look",
    "Lora",
    "LoraUse",
    "Model",
    "Palette",
    "Policy",
    "Project",
    "Rate",
    "SharedStore",
    "Sheet",
    "SourceFile",
    "Sprite",
    "Spritefile",
    "Style",
    "TomlSchema",
    "Vae",
    "inside",
    "json_schema",
    "load",
    "part",
]

TablesT = TypeVar("TablesT", bound=Tables)


@dataclass(frozen=True)
class Spritefile:
    """The validated, immutable declaration of a project; tables are in the order of their declaration."""

    root: Path
    project: Project
    datasets: Mapping[str, Dataset]
    vaes: Mapping[str, Vae]
    classifiers: Mapping[str, Classifier]
    evaluations: Mapping[str, Evaluation]
    models: Mapping[str, Model]
    loras: Mapping[str, Lora]
    palettes: Mapping[str, Palette]
    styles: Mapping[str, Style]
    sprites: Mapping[str, Sprite]
    sheets: Mapping[str, Sheet]
    exports: Mapping[str, Export]
    files: tuple[SourceFile, ...]
    include: tuple[str, ...] = ()
    policy: Policy = field(default_factory=Policy)
    check: Check = field(default_factory=Check)
    store: SharedStore | None = None
    quality: Tiers = field(default_factory=Tiers)
    cost: Cost = field(default_factory=Cost)
    budget: Budget = field(default_factory=Budget)

    def triggers(self, lora: str) -> tuple[str, ...]:
        """The words that wake a lora: those that were said or, of one trained here, those of its dataset."""
        declared = self.loras[lora]
        if declared.dataset is None:
            return declared.triggers
        return tuple((self.datasets[declared.dataset].model_extra or {}).get("triggers", ()))

    def fault(self, path: Sequence[str | int], message: str, hint: str | None = None, *, key: bool = True) -> Fault:
        """A fault at the place of a key such as ("styles", "ruins", "steps"), or of its value."""
        return point(self.files, Mistake(tuple(path), message, hint, key))


def load(path: Path) -> Spritefile:
    """The project that a spritefile declares. Raises SpritefileError with all faults; UsageError without a file."""
    root = path.absolute().parent.resolve()
    main, tree = _read_main(path)
    document, faults = _validated(main, tree, Document)
    if "project" not in tree:
        faults.append(Fault("[project] is missing", main.path, hint='begin with [project] and name = "..."'))
    parts = [_Part(main, tree, document)]
    included, unread = _include(root, main, document.include)
    for file, tree in included:
        tables, wrong = _validated(file, tree, Tables)
        parts.append(_Part(file, tree, tables))
        faults += wrong
    faults += [*unread, *_twice(parts)]

    files = tuple(part.file for part in parts)
    merged: dict[str, Any] = {table: _merged(getattr(part.tables, table) for part in parts) for table in DECLARED}
    if not unread and all(part.complete for part in parts):  # else names would be missed that are declared
        names = {table: _merged(_named(part.tree, table) for part in parts) for table in DECLARED}
        draft = Draft(root, path.resolve(), document.project, Tables.model_construct(None, **merged), names)
        faults += [point(files, mistake) for mistake in check(draft)]
    if faults:
        raise SpritefileError(faults)
    assert document.project is not None
    return Spritefile(
        root,
        document.project,
        **merged,
        files=files,
        include=document.include,
        policy=document.policy,
        check=document.check,
        store=document.store,
        quality=document.quality,
        cost=document.cost,
        budget=document.budget,
    )


def part(path: Path, files: Sequence[tuple[SourceFile, dict[str, Any]]]) -> Spritefile:
    """A project of which only some is declared: the main file's tree and those of the files that it includes.

    What is lacking is not missed, but what is there may name it no more. Raises ValueError if anything is wrong; `load`
    says what. Kinds of tables that are not there cost nothing.
    """
    root = path.absolute().parent.resolve()
    declared: dict[str, Any] = {
        table: {name: kind.model_validate(said) for _, tree in files for name, said in tree.get(table, {}).items()}
        for table, kind in DECLARED.items()
    }
    main = files[0][1]
    project = Project.model_validate(main["project"])
    draft = Draft(root, path.resolve(), project, Tables.model_construct(None, **declared), declared)
    if any(True for _ in check(draft)):
        raise ValueError(path)
    kinds: dict[str, type[BaseModel]] = {
        "policy": Policy,
        "check": Check,
        "store": SharedStore,
        "quality": Tiers,
        "cost": Cost,
        "budget": Budget,
    }
    said = {key: kind.model_validate(main[key]) for key, kind in kinds.items() if key in main}
    include = tuple(main.get("include", ()))
    tables: dict[str, Any] = {**declared, **said}
    return Spritefile(root, project, files=tuple(file for file, _ in files), include=include, **tables)


@dataclass(frozen=True)
class _Part:
    """A file, everything in it, and those of its declarations that are well-formed."""

    file: SourceFile
    tree: dict[str, Any]
    tables: Tables

    @property
    def complete(self) -> bool:
        """Whether everything that it declares, well-formed or not, has been found."""
        known = type(self.tables).model_fields.keys() >= self.tree.keys()
        return known and list(getattr(self.tables, "include", ())) == self.tree.get("include", [])


def _read_main(path: Path) -> tuple[SourceFile, dict[str, Any]]:
    try:
        return read(path, path.name)
    except FileNotFoundError:
        raise UsageError("no such spritefile", where=str(path), hint="write one: spritebuild init") from None
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", where=str(path)) from None


def _validated(file: SourceFile, tree: dict[str, Any], document: type[TablesT]) -> tuple[TablesT, list[Fault]]:
    """The well-formed part of a file, and the faults of the rest."""
    try:
        return document.model_validate(tree), []
    except ValidationError as error:
        mistakes = explain(error, document)
    broken = {mistake.path[:2] if mistake.path[0] in DECLARED else mistake.path[:1] for mistake in mistakes}
    sound: dict[str, Any] = {}
    for key, value in tree.items():
        if key in DECLARED and isinstance(value, dict):
            sound[key] = {name: declared for name, declared in value.items() if (key, name) not in broken}
        elif (key,) not in broken and key not in DECLARED:
            sound[key] = value
    return document.model_validate(sound), [file.fault(mistake) for mistake in mistakes]


def _include(
    root: Path, main: SourceFile, patterns: Sequence[str]
) -> tuple[list[tuple[SourceFile, dict[str, Any]]], list[Fault]]:
    """The files that globs find, in their order, each once; and the faults of those that cannot be read."""
    names: dict[str, int] = {}
    faults: list[Fault] = []
    for index, pattern in enumerate(patterns):
        try:
            for name in _found(root, pattern, main.path):
                names.setdefault(name, index)
        except ValueError as error:
            message = f"include {say(pattern)} {error}"
            faults.append(main.fault(Mistake(("include", index), message, PATH_HINT, key=False)))
    files = []
    for name, index in names.items():
        try:
            files.append(read(root / name, name))
        except SpritefileError as error:
            faults += error.faults
        except OSError as error:
            message = f"{say(name)} cannot be read: {error.strerror}"
            faults.append(main.fault(Mistake(("include", index), message, key=False)))
    return files, faults


def _found(root: Path, pattern: str, main: str) -> list[str]:
    """The files that a glob finds, sorted. Raises ValueError if there is none but the main one, or one is outside."""
    check_relative(pattern)
    try:
        paths = [path for path in root.glob(pattern) if path.is_file()]
    except (ValueError, NotImplementedError):
        raise ValueError("is not a glob") from None
    except OSError as error:
        raise ValueError(f"cannot be searched: {error.strerror}") from None
    names = sorted({path.relative_to(root).as_posix() for path in paths} - {main})
    for name in names:
        try:
            inside(root, name)
        except ValueError as error:
            raise ValueError(f"finds {say(name)}, which {error}") from None
        if not name.isprintable():
            raise ValueError(f"finds {say(name)}, whose name cannot be printed")
    if not names:
        raise ValueError("finds no file")
    return names


def _twice(parts: Sequence[_Part]) -> Iterator[Fault]:
    """A fault for every declaration that an earlier file has, naming both places."""
    first: dict[tuple[str, str], SourceFile] = {}
    for part in parts:
        for table in DECLARED:
            for name in _named(part.tree, table):
                file = first.setdefault((table, name), part.file)
                if file is not part.file:
                    place = file.places.find((table, name))
                    hint = f"first declared in {file.path}:{place.line}" if place else None
                    yield part.file.fault(Mistake((table, name), f"{dotted((table, name))} is declared twice", hint))


def _merged(dicts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """One dict of all, in their order; the first of equal keys wins."""
    merged: dict[str, Any] = {}
    for each in dicts:
        for key, value in each.items():
            merged.setdefault(key, value)
    return merged


def _named(tree: Mapping[str, Any], table: str) -> Mapping[str, Any]:
    """What a tree declares in a table, well-formed or not."""
    declared = tree.get(table)
    return declared if isinstance(declared, dict) else {}
