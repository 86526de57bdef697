"""Pins: artifacts whose digests are known before their bytes are here; knows no transport (that is remote.py).

A pin is one file, `lockfiles/models/NAME.dvc`, in DVC's format: `outs` and `deps` are DVC's, and `meta.spritebuild`
holds the sha256 and size of every file. Those decide; DVC's md5 is transport. What a pin may name is restricted:
safetensors and plain data only, nothing that can run.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spritebuild import digest
from spritebuild.errors import IntegrityError, LockError, PolicyError
from spritebuild.files import write_atomic
from spritebuild.pinned import families

FOLDER = "lockfiles"
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib", ".msgpack", ".h5")
CODE = (".py", ".pyc", ".so", ".dll", ".dylib")
MAX_HEADER = 10_000_000  # bytes of a safetensors header
MAX_TENSORS = 50_000
POINTER, LONGEST_POINTER = b"version https://git-lfs.github.com/spec/", 1024


@dataclass(frozen=True)
class Pin:
    """A pinned file or folder. `files` are (path below the folder, size, sha256); a single file's path is its name."""

    name: str
    source: str
    files: tuple[tuple[str, int, str], ...]
    licence: str | None = None
    folder: bool = True
    revision: str | None = None  # of the source, where it has revisions
    family: str | None = None  # what its weights fit, where their shapes or configuration tell

    @property
    def digest(self) -> str:
        """sha256 of the one file, or of the folder's listing: what keys hold."""
        if not self.folder:
            return self.files[0][2]
        return digest.of_value({path: sha256 for path, _, sha256 in self.files})

    @property
    def size(self) -> int:
        """Bytes in all."""
        return sum(size for _, size, _ in self.files)


def of_path(path: Path, name: str, source: str, licence: str | None, files: digest.Files) -> Pin:
    """Pin what lies at `path` now. Raises PolicyError for anything that could run, and for damaged weights."""
    inspect(path)
    family = families.of_path(path)
    if path.is_dir():
        found = tuple((p.relative_to(path).as_posix(), p.stat().st_size, files.of(p)) for p in _walk(path))
        return Pin(name, source, found, licence, family=family)
    return Pin(name, source, ((path.name, path.stat().st_size, files.of(path)),), licence, folder=False, family=family)


def verify(pin: Pin, path: Path, files: digest.Files) -> None:
    """Raise IntegrityError unless the bytes at `path` are those that were pinned, and PolicyError as `of_path` does."""
    if extra := unknown(pin, path):
        raise IntegrityError(
            f"{pin.name}: {extra[0]} is not part of the pin",
            where=str(path),
            hint=f"remove it, or accept the folder as it is with `spritebuild lock --update {pin.name}`",
        )
    for name, size, sha256 in pin.files:
        file = path / name if pin.folder else path
        try:
            actual = file.stat().st_size
            found = files.of(file)
        except FileNotFoundError:
            raise IntegrityError(f"{pin.name}: {name} is missing", where=str(path), hint="spritebuild fetch") from None
        if (actual, found) != (size, sha256):
            raise IntegrityError(
                f"{pin.name}: {name} is not what was pinned",
                where=str(file),
                facts=[("pinned", f"sha256 {sha256}, {size} bytes"), ("found", f"sha256 {found}, {actual} bytes")],
                hint=f"restore the file, or accept it with `spritebuild lock --update {pin.name}`",
            )
    inspect(path)


def damaged(pin: Pin, path: Path, files: digest.Files) -> list[str]:
    """The files of a pin that are not at `path` as they were pinned; a link counts as none of them."""
    found = []
    for name, size, sha256 in pin.files:
        file = path / name if pin.folder else path
        try:
            true = not file.is_symlink() and file.stat().st_size == size and files.of(file) == sha256
        except OSError:
            true = False
        if not true:
            found.append(name)
    return found


def unknown(pin: Pin, path: Path) -> list[str]:
    """The files at `path` that a pin does not list."""
    listed = {name for name, _, _ in pin.files}
    there = {p.relative_to(path).as_posix() for p in _walk(path)} if pin.folder and path.is_dir() else set()
    return sorted(there - listed)


def refuse_name(name: str, where: str) -> None:
    """Refuse a file that could run code when loaded, by its name alone: before it is fetched."""
    suffix = Path(name).suffix.lower()
    if suffix in PICKLES:
        raise PolicyError(
            "pickled weights can run code when loaded and are refused",
            where=where,
            hint="convert them to .safetensors, or remove the file",
        )
    if suffix in CODE:
        raise PolicyError("code in a weight folder is refused", where=where, hint="remove the file")


def inspect(path: Path) -> None:
    """Refuse what could run code or exhaust memory when loaded: pickles, Python files, `auto_map`, bad safetensors.

    A Git-LFS pointer is refused as well: it is not the file that it stands for.
    """
    for file in _walk(path) if path.is_dir() else [path]:
        suffix = file.suffix.lower()
        refuse_name(file.name, str(file))
        if file.stat().st_size <= LONGEST_POINTER and file.read_bytes().startswith(POINTER):
            raise PolicyError(
                "a Git-LFS pointer lies where the file itself should",
                where=str(file),
                hint="run `git lfs pull` there, or declare the repository: git = { repo = ..., path = ..., rev = ... }",
            )
        if suffix == ".safetensors":
            _inspect_safetensors(file)
        elif suffix == ".json":
            _inspect_json(file)


def _inspect_safetensors(file: Path) -> None:
    """Check the header: 8 bytes of length, a JSON object of tensors whose offsets lie within the file."""

    def refuse(why: str) -> PolicyError:
        return PolicyError(f"not a safetensors file: {why}", where=str(file), hint="fetch or convert the weights again")

    size = file.stat().st_size
    with file.open("rb") as stream:
        start = stream.read(8)
        if len(start) < 8:
            raise refuse("shorter than its header")
        if start[:2] in (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05") or start[:4] == b"PK\x03\x04":
            raise refuse("it is a pickle under another name")
        (length,) = struct.unpack("<Q", start)
        if length > MAX_HEADER or length > size - 8:
            raise refuse(f"a header of {length} bytes")
        try:
            header = json.loads(stream.read(length))
        except ValueError:
            raise refuse("its header is not JSON") from None
    if not isinstance(header, dict) or len(header) > MAX_TENSORS:
        raise refuse("its header is not a table of at most 50,000 tensors")
    for name, tensor in header.items():
        if name == "__metadata__":
            continue
        offsets = tensor.get("data_offsets") if isinstance(tensor, dict) else None
        if not (isinstance(offsets, list) and len(offsets) == 2 and 0 <= offsets[0] <= offsets[1] <= size - 8 - length):
            raise refuse(f"tensor {name} lies outside the file")


def _inspect_json(file: Path) -> None:
    if file.stat().st_size > 4 * MAX_HEADER:
        raise PolicyError("a JSON file of more than 40 MB is refused", where=str(file))
    try:
        value = json.loads(file.read_bytes())
    except (ValueError, RecursionError):
        raise PolicyError("not JSON", where=str(file), hint="fetch the model again") from None
    if isinstance(value, dict) and "auto_map" in value:
        raise PolicyError(
            "`auto_map` asks for code from elsewhere to be run and is refused",
            where=str(file),
            hint="use a model that stock diffusers and transformers load",
        )


def _walk(folder: Path) -> Iterator[Path]:
    """Every file of a folder but the hidden ones, sorted. A link that leaves the folder is refused."""
    root = folder.resolve()
    for path in sorted(folder.rglob("*")):
        if any(part.startswith(".") for part in path.relative_to(folder).parts):
            continue
        if path.is_symlink() and not path.resolve().is_relative_to(root):
            raise PolicyError("a link leaves the weight folder", where=str(path), hint="put the file itself there")
        if path.is_file():
            yield path


# The file


def path_of(root: Path, name: str) -> Path:
    """Where a pin is kept: `models.mini` is `lockfiles/models/mini.dvc`."""
    table, _, rest = name.partition(".")
    return root / FOLDER / table / f"{rest}.dvc"


def read(path: Path) -> Pin:
    """Read a pin. Raises LockError where the file is damaged and FileNotFoundError where there is none."""
    import yaml

    data = path.read_bytes()
    try:
        document = yaml.safe_load(data)
        meta = document["meta"]["spritebuild"]
        files = tuple((row["path"], int(row["size"]), str(row["sha256"])) for row in meta["files"])
        revision = meta.get("revision") or _locked_revision(document)
        pin = Pin(
            meta["name"], meta["source"], files, meta.get("licence"), meta["folder"], revision, meta.get("family")
        )
        said = meta["sha256"]
    except (yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise LockError(
            f"not a pin: {error}", where=str(path), hint="restore it with git, or `spritebuild lock --update`"
        ) from error
    if pin.digest != said:
        raise IntegrityError(
            "the pin was edited: its sha256 does not cover its files",
            where=str(path),
            hint=f"restore it with git, or `spritebuild lock --update {pin.name}`",
        )
    return pin


def _locked_revision(document: Mapping[str, Any]) -> str | None:
    """The revision as DVC keeps it: pins that were written before theirs said it have it there alone."""
    origins = document.get("deps") or [{}]
    return origins[0].get("repo", {}).get("rev_lock") or None


def write(path: Path, pin: Pin, transport: Mapping[str, Any] | None = None, *, scratch: Path | None = None) -> None:
    """Write a pin; `transport` is DVC's part of it (`outs`, `deps`, `frozen`)."""
    import yaml

    meta = {
        "name": pin.name,
        "source": pin.source,
        **({"revision": pin.revision} if pin.revision else {}),
        "licence": pin.licence,
        **({"family": pin.family} if pin.family else {}),
        "folder": pin.folder,
        "sha256": pin.digest,
        "size": pin.size,
        "files": [{"path": name, "size": size, "sha256": sha256} for name, size, sha256 in pin.files],
    }
    text = yaml.safe_dump({**(transport or {}), "meta": {"spritebuild": meta}}, sort_keys=False, width=120)
    write_atomic(path, text.encode(), scratch=scratch)
