"""Where pinned artifacts come from: the package, the project, another repository through DVC. Alone knows DVC.

A source says where bytes may be had; the pin says which bytes. Whatever arrives is hashed against the pin.
"""

from __future__ import annotations

import importlib
import os
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from spritebuild import digest, pins
from spritebuild.errors import IntegrityError, MachineError, UsageError
from spritebuild.pins import Pin


class DvcSource(Protocol):
    """A path in a git repository, tracked by DVC or by git."""

    @property
    def repo(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def rev(self) -> str | None: ...


class Declaration(Protocol):
    """What a `[models.*]` or `[loras.*]` table says of its bytes: exactly one source."""

    @property
    def path(self) -> str | None: ...
    @property
    def dvc(self) -> DvcSource | None: ...
    @property
    def licence(self) -> str | None: ...


def source_of(declaration: Declaration) -> str:
    """The source as a pin states it: a pin whose source is another one is stale."""
    if builtin := getattr(declaration, "builtin", None):
        return f"builtin:{builtin}"
    if declaration.path is not None:
        return f"path:{declaration.path}"
    assert declaration.dvc is not None
    rev = declaration.dvc.rev
    return f"dvc:{declaration.dvc.repo}:{declaration.dvc.path}" + (f"@{rev}" if rev else "")


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
        transport: dict[str, Any] = {}
        if source.startswith("builtin:"):
            own = pins.read(shipped(source.partition(":")[2]).with_suffix(".dvc"))
            pin = replace(own, name=name, source=source, licence=declaration.licence or own.licence)
        elif declaration.path is not None:
            path = self.root / declaration.path
            if not path.exists():
                raise UsageError(f"{name}: nothing is there", where=declaration.path, hint="put the weights there")
            pin = pins.of_path(path, name, source, declaration.licence, self.files)
        else:
            assert declaration.dvc is not None
            arrived, revision = self._download(declaration.dvc)
            try:
                pin = pins.of_path(arrived, name, source, declaration.licence, self.files)
                self._keep(pin, arrived)
            finally:
                shutil.rmtree(arrived.parent, ignore_errors=True)
            origin = {"path": declaration.dvc.path, "repo": {"url": declaration.dvc.repo, "rev_lock": revision}}
            transport = {"frozen": True, "deps": [origin]}
        pins.write(pins.path_of(self.root, name), pin, transport)
        return pin

    def pin_all(self, declarations: Mapping[str, Declaration]) -> dict[str, Pin]:
        """Pin each of them."""
        return {name: self.pin(name, declaration) for name, declaration in declarations.items()}

    def fetch(self, pin: Pin, declaration: Declaration) -> Path:
        """The verified bytes of a pin, brought here if need be. Raises IntegrityError and PolicyError."""
        path = self.place(pin)
        if pin.source.startswith("builtin:") and not path.exists():
            raise UsageError(f"{pin.name}: this version of spritebuild has no built-in model of that name")
        if declaration.dvc is not None:
            if path.exists():
                try:
                    pins.verify(pin, path, self.files)
                    return path
                except IntegrityError:
                    shutil.rmtree(path)  # damaged since it came: fetched again, and verified again
            arrived, _ = self._download(declaration.dvc)
            try:
                pins.verify(pin, arrived, self.files)
                self._keep(pin, arrived)
            finally:
                shutil.rmtree(arrived.parent, ignore_errors=True)
            return path
        pins.verify(pin, path, self.files)
        return path

    def place(self, pin: Pin) -> Path:
        """Where a pin's bytes are, or will be."""
        kind, _, rest = pin.source.partition(":")
        if kind == "builtin":
            return shipped(rest)
        if kind == "path":
            return self.root / rest
        return self.kept / pin.digest / ("" if pin.folder else pin.files[0][0])

    def _download(self, source: DvcSource) -> tuple[Path, str]:
        """Fetch into a temporary folder beside the kept artifacts; returns where, and the revision found."""
        if self.offline:
            hint = "run it once without --offline"
            raise MachineError(f"{source.path} is not here, and nothing may be fetched", where=source.repo, hint=hint)
        try:
            from dvc.api import DVCFileSystem
        except ImportError:
            raise MachineError("models of another repository need DVC", hint='pip install "spritebuild[dvc]"') from None
        os.environ["DVC_NO_ANALYTICS"] = "1"
        arrived = self.kept / f"arriving-{secrets.token_hex(4)}" / Path(source.path).name
        arrived.parent.mkdir(parents=True)
        try:
            filesystem = DVCFileSystem(source.repo, rev=source.rev)
            filesystem.get(source.path, str(arrived), recursive=filesystem.isdir(source.path))
            revision = str(getattr(filesystem.repo.scm, "get_rev", lambda: "")())
        except Exception as error:
            shutil.rmtree(arrived.parent, ignore_errors=True)
            raise MachineError(
                f"cannot fetch {source.path}: {type(error).__name__}: {error}",
                where=source.repo,
                hint="check the repository, its path and revision, and that its DVC remote can be reached",
            ) from error
        return arrived, revision

    def _keep(self, pin: Pin, arrived: Path) -> None:
        final = self.kept / pin.digest
        if final.exists():
            return
        if pin.folder:
            arrived.rename(final)
        else:
            arrived.parent.rename(final)
