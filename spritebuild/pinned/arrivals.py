"""The folder of fetched artifacts: what arrives is put there whole; what is damaged there is set aside and healed."""

from __future__ import annotations

import contextlib
import fcntl
import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from spritebuild import digest
from spritebuild.errors import IntegrityError, PolicyError
from spritebuild.files import sync_files, sync_folders
from spritebuild.pinned import pins
from spritebuild.pinned.pins import Pin
from spritebuild.pinned.sources import Source, Wanted, hidden, safe


class Arrivals:
    """Artifacts by digest below `kept`; files that were found damaged there go to `quarantine`."""

    def __init__(self, kept: Path, quarantine: Path, files: digest.Files) -> None:
        self.kept, self.quarantine, self.files = kept, quarantine, files

    def place(self, pin: Pin) -> Path:
        """Where a pin's bytes are, or will be."""
        return self.kept / pin.digest / ("" if pin.folder else safe(pin.files[0][0]))

    def holds(self, pin: Pin) -> bool:
        """Whether every byte of a pin is here."""
        path = self.place(pin)
        return path.exists() and not pins.damaged(pin, path, self.files) and not pins.unknown(pin, path)

    def first(self, source: Source, revision: str | None, pin: Callable[[Path], Pin], said: str) -> Pin:
        """Bring all that a source holds at a revision, pin it and keep it. `said` is the source as a pin states it."""
        with self._alone():
            arriving = self._arriving(digest.of_value([said, revision]))
            wanted = [file for file in source.listing(revision) if not hidden(file.path)]
            for file in wanted:
                pins.refuse_name(file.path, f"{said}: {file.path}")
            self._leave_only(arriving, wanted)
            source.bring(wanted, revision, arriving)
            try:
                made = replace(pin(arriving if source.folder else arriving / wanted[0].path), revision=revision)
            except PolicyError:
                shutil.rmtree(arriving)
                raise
            self._keep(made, arriving)
        return made

    def again(self, pin: Pin, source: Source) -> Path:
        """The verified bytes of a pin: what is damaged or missing here is fetched. Raises IntegrityError."""
        path = self.place(pin)
        with self._alone():
            missing = set(pins.damaged(pin, path, self.files))
            top = self.kept / pin.digest
            if top.exists():
                self._set_aside(top, [*missing, *pins.unknown(pin, path)])
            if missing:
                arriving = self._arriving(pin.digest)
                wanted = [Wanted(safe(name), size, sha256) for name, size, sha256 in pin.files if name in missing]
                self._leave_only(arriving, wanted)
                source.bring([file for file in wanted if not _is(arriving, file)], pin.revision, arriving)
                for file in wanted:
                    self._check(pin, arriving, file)
                pins.inspect(arriving)
                self._keep(pin, arriving)
            pins.verify(pin, path, self.files)
        return path

    def _check(self, pin: Pin, arriving: Path, file: Wanted) -> None:
        if _is(arriving, file):
            return
        place = arriving / file.path
        found = f"sha256 {digest.of_file(place)}, {place.stat().st_size} bytes" if place.is_file() else "no such file"
        place.unlink(missing_ok=True)
        raise IntegrityError(
            f"{pin.name}: {file.path} is not what was pinned",
            where=pin.source,
            facts=[("pinned", f"sha256 {file.sha256}, {file.size} bytes"), ("found", found)],
            hint=f"the source has changed: accept it with `spritebuild lock --update {pin.name}`, or use another",
        )

    def _keep(self, pin: Pin, arriving: Path) -> None:
        """Put what arrived where it belongs: the folder as a whole, or the files that were missing in it."""
        top = self.kept / pin.digest
        for rest in [*arriving.rglob(".*.part"), *arriving.rglob(".*.part.from")]:
            rest.unlink()
        came = [name for name, _, _ in pin.files if (arriving / name).is_file()]
        sync_files([str(arriving / name) for name in came])
        if top.exists():
            for name in came:
                (top / name).parent.mkdir(parents=True, exist_ok=True)
                (arriving / name).replace(top / name)
            shutil.rmtree(arriving)
        else:
            arriving.rename(top)
        # A power cut leaves what was said to be here: the names, too, up to the store's own.
        folders = {str(folder) for name in came for folder in (top / name).parents if folder.is_relative_to(top)}
        sync_folders([*folders, str(self.kept), str(self.kept.parent)])

    def _set_aside(self, top: Path, names: Sequence[str]) -> None:
        there = [name for name in names if (top / name).is_symlink() or (top / name).exists()]
        aside = self.quarantine / f"{top.name[:16]}-{secrets.token_hex(4)}"
        for name in there:
            (aside / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.move(top / name, aside / name)

    def _arriving(self, name: str) -> Path:
        folder = self.kept / f"arriving-{name[:16]}"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _leave_only(self, arriving: Path, wanted: Sequence[Wanted]) -> None:
        """Remove what an earlier try left and nobody wants."""
        names = {file.path for file in wanted}
        for path in [p for p in arriving.rglob("*") if p.is_symlink() or p.is_file()]:
            name = path.relative_to(arriving)
            plain = name.with_name(name.name.removeprefix(".").removesuffix(".from").removesuffix(".part"))
            if name.as_posix() not in names and plain.as_posix() not in names:
                path.unlink()

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """One process at a time; the kernel releases it however the holder ends."""
        self.kept.mkdir(parents=True, exist_ok=True)
        with (self.kept / ".lock").open("w") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            yield


def _is(folder: Path, file: Wanted) -> bool:
    path = folder / file.path
    if path.is_symlink() or not path.is_file() or path.stat().st_size != file.size:
        return False
    return digest.of_file(path) == file.sha256
