"""The pictures that cases speak of, by the digests of their bytes; nothing else can be asked for."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from spritebuild import digest, lock
from spritebuild.check.cases import Case
from spritebuild.compare import Pictures
from spritebuild.lock import Entry
from spritebuild.project import Project
from spritebuild.store import Damaged

PNG = b"\x89PNG\r\n\x1a\n"
Find = Callable[[], Path | None]


@dataclass
class Index:
    """Where the bytes of each digest may lie. A digest that nobody speaks of is not in it."""

    project: Project
    pictures: Pictures
    places: dict[str, Find] = field(default_factory=dict)

    def add_case(self, case: Case) -> None:
        """Let the pictures of a case be asked for: as they are, as approved, and as approved before that."""
        entry = self.project.known.lock.get(case.path)
        finds = (self.pictures.former, self.pictures.baseline, self.pictures.now)  # the likeliest to be here last
        names = (case.former, case.baseline, case.digest)
        for find, name in zip(finds, names, strict=True):
            if not name:
                continue
            if not lock.is_folder(case.path):
                self.places[name] = partial(find, case.path, "")
                continue
            for file, made in files_of(self.project, entry, name).items():
                self.places[made] = partial(find, case.path, file)

    def add(self, name: str, place: Path) -> str:
        """Let a picture be asked for that lies anywhere; returns its address."""
        self.places.setdefault(name, lambda: place)
        return url(name)

    def read(self, name: str) -> bytes | None:
        """The bytes of a picture whose digest is `name`; None where no case speaks of it, or it is not here."""
        find = self.places.get(name)
        if find is None:
            return None
        known, store = self.project.known, self.project.store
        with contextlib.suppress(Damaged, OSError):
            place = find()
            data = place.read_bytes() if place is not None else b""
            if digest.of_bytes(data) in (name, known.stand_ins.get(name)):
                return data if data.startswith(PNG) else None
        with contextlib.suppress(Damaged, OSError):
            data = Path(store.checked(name)).read_bytes() if store.has(name) else b""
            return data if data.startswith(PNG) else None
        return None

    def shown(self, place: Path | None, name: str) -> str | None:
        """The address of a picture whose digest should be `name`, by what it is; None for what is no picture."""
        if place is None or not name or not is_png(place):
            return None
        try:
            found = self.project.known.files.of(place)
        except OSError:
            return None
        if found in (name, self.project.known.stand_ins.get(name)):
            return url(name)
        return self.add(found, place)  # edited by hand: what lies there is what is shown


def url(name: str) -> str:
    """The address of a picture."""
    return f"/pixels/{name}.png"


def is_png(place: Path) -> bool:
    """Whether a file begins as a PNG does."""
    try:
        with place.open("rb") as file:
            return file.read(len(PNG)) == PNG
    except OSError:
        return False


def files_of(project: Project, entry: Entry | None, name: str) -> Mapping[str, str]:
    """The digests of a folder's files, by their names in it, where the folder's own is `name`."""
    if entry is not None and name == entry.digest:
        return entry.files
    if entry is not None and name == entry.before.get("digest") and entry.before.get("files"):
        files: Mapping[str, str] = entry.before["files"]
        return files
    with contextlib.suppress(Damaged):
        if name.endswith("/") and project.store.has(name):
            return project.store.listed(name)
    return {}


def pages(files: Iterable[str]) -> list[str]:
    """The files of a folder that are called pictures, in their order."""
    return sorted(file for file in files if file.lower().endswith(".png"))
