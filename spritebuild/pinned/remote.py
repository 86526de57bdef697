"""Where pinned artifacts come from, and whether they are here. The transports themselves are in sources/.

A source says where bytes may be had; the pin says which bytes. Whatever arrives is hashed against the pin.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from spritebuild import digest
from spritebuild.errors import IntegrityError, MachineError, UsageError
from spritebuild.pinned import catalogue, families, pins
from spritebuild.pinned.arrivals import Arrivals
from spritebuild.pinned.pins import Pin
from spritebuild.pinned.sources import NETWORK, Source, dvc
from spritebuild.store import SCRATCH


class DvcSource(Protocol):
    """A path in a git repository, tracked by DVC or by git."""

    @property
    def repo(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def rev(self) -> str | None: ...


class GitSource(DvcSource, Protocol):
    """Files of a git repository: all of a path, or those that globs choose."""

    @property
    def include(self) -> tuple[str, ...]: ...
    @property
    def exclude(self) -> tuple[str, ...]: ...


class Declaration(Protocol):
    """What a `[models.*]`, `[loras.*]` or `[datasets.*]` table says of its bytes: exactly one source.

    `builtin`, `folder`, `file`, `files`, `config`, `known` and `family` are said by some of these tables only.
    """

    @property
    def path(self) -> str | None: ...
    @property
    def dvc(self) -> DvcSource | None: ...
    @property
    def git(self) -> GitSource | None: ...
    @property
    def url(self) -> str | None: ...
    @property
    def licence(self) -> str | None: ...


def source_of(declaration: Declaration) -> str:
    """The source as a pin states it: a pin whose source is another one is stale."""
    if builtin := getattr(declaration, "builtin", None):
        return f"builtin:{builtin}"
    if declaration.path is not None:
        return f"path:{declaration.path}"
    if (outside := _outside(declaration)) is not None:
        return f"folder:{outside}"
    if declaration.url is not None:
        files = getattr(declaration, "files", ())
        return f"url:{declaration.url}" + (f" {' '.join(files)}" if files else "")
    there = declaration.dvc or declaration.git
    assert there is not None
    said = f"{'dvc' if declaration.dvc else 'git'}:{there.repo}:{there.path}" + (f"@{there.rev}" if there.rev else "")
    if declaration.git is not None:
        said += "".join(f" +{glob}" for glob in declaration.git.include)
        said += "".join(f" -{glob}" for glob in declaration.git.exclude)
    return said


def shipped(name: str) -> Path:
    """The folder of a built-in model."""
    package = importlib.import_module("spritebuild_stages")
    models = Path(package.__path__[0]) / "models"
    path = models / name
    if not path.is_dir():
        known = ", ".join(sorted(p.name for p in models.iterdir() if p.is_dir()))
        raise UsageError(f"no built-in model {name!r}", hint=f"built-in models: {known}")
    return path


class Remote:
    """The sources of one project, and the folder where fetched artifacts are kept."""

    def __init__(self, root: Path, kept: Path, files: digest.Files, *, offline: bool = False) -> None:
        self.root = root
        self.kept = kept
        self.files = files
        self.offline = offline  # whether what is elsewhere stays there
        self.arrivals = Arrivals(kept, kept.parent / "quarantine", files)

    def read(self, declarations: Mapping[str, Declaration]) -> dict[str, Pin]:
        """The pins there are, by name as `models.mini`; a pin of another source counts as missing."""
        found = {}
        for name, declaration in declarations.items():
            try:
                pin = pins.read(pins.path_of(self.root, name))
            except FileNotFoundError:
                continue
            if pin.source == source_of(declaration):
                found[name] = pin
        return found

    def pin(self, name: str, declaration: Declaration) -> Pin:
        """Pin what the source holds now, and write the pin. Fetches where the source is elsewhere."""
        source = source_of(declaration)
        licence = declaration.licence or catalogue.of(declaration).get("licence")
        transport: dict[str, Any] = {}
        if source.startswith("builtin:"):
            own = pins.read(shipped(source.partition(":")[2]).with_suffix(".dvc"))
            family = own.family or families.of_path(shipped(source.partition(":")[2]))
            pin = replace(own, name=name, source=source, licence=licence or own.licence, family=family)
        elif self._elsewhere(declaration):
            pin = self._pin_elsewhere(name, declaration, source, licence)
            transport = _transport(declaration, pin)
        else:
            path = self._here(source)
            if declaration.path is not None:
                self._pull(declaration.path)
            if not path.exists():
                raise UsageError(f"{name}: nothing is there", where=str(path), hint="put the weights there")
            pin = pins.of_path(path, name, source, licence, self.files)
        said = getattr(declaration, "family", None)
        if said is not None and families.clash(pin.family, said):
            raise UsageError(
                f"{name} is declared as {said}, but its weights are {families.words(str(pin.family))}",
                hint=f"take family out of [{name}], or set it right",
            )
        pins.write(pins.path_of(self.root, name), pin, transport, scratch=self.kept.parent / SCRATCH)
        return pin

    def pin_all(self, declarations: Mapping[str, Declaration]) -> dict[str, Pin]:
        """Pin each of them."""
        return {name: self.pin(name, declaration) for name, declaration in declarations.items()}

    def fetch(self, pin: Pin, declaration: Declaration) -> Path:
        """The verified bytes of a pin, brought here if need be. Raises IntegrityError and PolicyError."""
        path = self.place(pin)
        if self._elsewhere(declaration):
            if path.exists():
                try:
                    pins.verify(pin, path, self.files)
                    return path
                except IntegrityError:  # damaged since it came: fetched again, and verified again
                    pass
            return self.arrivals.again(pin, self._source(pin.name, declaration))
        if pin.source.startswith("builtin:") and not path.exists():
            raise UsageError(f"{pin.name}: this version of spritebuild has no built-in model of that name")
        if declaration.path is not None:
            self._pull(declaration.path)
        pins.verify(pin, path, self.files)
        return path

    def place(self, pin: Pin) -> Path:
        """Where a pin's bytes are, or will be."""
        kind, _, rest = pin.source.partition(":")
        if kind == "builtin":
            return shipped(rest)
        if kind in ("path", "folder"):
            return self._here(pin.source)
        return self.arrivals.place(pin)

    def _here(self, source: str) -> Path:
        return self.root / Path(source.partition(":")[2]).expanduser()

    def _pull(self, path: str) -> None:
        """Bring a missing path of the project, if its own DVC tracks it."""
        if dvc.can_pull(self.root, path):
            self._refuse_offline(path, str(self.root))
            dvc.pull(self.root, path)

    def _elsewhere(self, declaration: Declaration) -> bool:
        return declaration.dvc is not None or declaration.git is not None or declaration.url is not None

    def _pin_elsewhere(self, name: str, declaration: Declaration, said: str, licence: str | None) -> Pin:
        source = self._source(name, declaration)
        revision = source.resolve()
        if revision is not None:
            before = self.read({name: declaration}).get(name)
            if before is not None and before.revision == revision and self.arrivals.holds(before):
                return replace(before, licence=licence)
        return self.arrivals.first(
            source, revision, lambda path: pins.of_path(path, name, said, licence, self.files), said
        )

    def _source(self, name: str, declaration: Declaration) -> Source:
        """The transport to what a table declares."""
        # Imported here: a client for http takes 25 ms to load, and most builds fetch nothing.
        from spritebuild.pinned.sources.git import Git
        from spritebuild.pinned.sources.http import Http
        from spritebuild.pinned.sources.url import Url, file_name

        there = declaration.dvc or declaration.git
        self._refuse_offline(there.path if there else name, there.repo if there else str(declaration.url))
        if declaration.url is not None:
            if declaration.url.partition("://")[0] not in NETWORK:
                return dvc.Cloud(declaration.url)
            file = file_name(declaration.url) or name.partition(".")[2]
            one = name.startswith("loras.") or getattr(declaration, "config", None) is not None
            if one and not file.endswith(".safetensors"):  # an address that names no file
                file = f"{name.partition('.')[2]}.safetensors"
            return Url(declaration.url, getattr(declaration, "files", ()), file, Http())
        assert there is not None
        if declaration.git is None:
            return dvc.Tracked(there.repo, there.path, there.rev)
        git = declaration.git
        repo = str((self.root / git.repo).resolve()) if (self.root / git.repo).is_dir() else git.repo
        return Git(
            repo,
            git.path,
            git.rev,
            include=git.include,
            exclude=git.exclude,
            kept=self.kept / "git",
            http=Http(),
            tracked=lambda commit: dvc.Tracked(repo, git.path, commit),
        )

    def _refuse_offline(self, what: str, where: str) -> None:
        if self.offline:
            hint = "run it once without --offline"
            raise MachineError(f"{what} is not here, and nothing may be fetched", where=where, hint=hint)


def _outside(declaration: Declaration) -> str | None:
    """The place outside the project that a table names: `folder`, or `file` of a LoRA or checkpoint."""
    found = getattr(declaration, "folder", None) or getattr(declaration, "file", None)
    return str(found) if found else None


def _transport(declaration: Declaration, pin: Pin) -> dict[str, Any]:
    """DVC's part of a pin: where its bytes came from."""
    there = declaration.dvc or declaration.git
    if there is None:
        return {"frozen": True, "deps": [{"path": declaration.url}]}
    origin = {"path": there.path, "repo": {"url": there.repo, "rev_lock": pin.revision or ""}}
    return {"frozen": True, "deps": [origin]}
