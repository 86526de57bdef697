"""Git LFS: what a pointer says, and the object that it stands for, by the batch API or from a folder here."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spritebuild import digest
from spritebuild.errors import IntegrityError, MachineError
from spritebuild.pinned.sources.http import Http

LONGEST = 1024  # bytes of a pointer, by its specification
START = b"version https://git-lfs.github.com/spec/"
KIND = "application/vnd.git-lfs+json"
AT_ONCE = 100  # objects of one request


@dataclass(frozen=True)
class Pointer:
    """What stands in git for an object: its sha256 and its size."""

    oid: str
    size: int


def pointer(data: bytes) -> Pointer | None:
    """The pointer that bytes are, or None."""
    if len(data) > LONGEST or not data.startswith(START):
        return None
    oid = re.search(rb"^oid sha256:([0-9a-f]{64})$", data, re.MULTILINE)
    size = re.search(rb"^size ([0-9]{1,18})$", data, re.MULTILINE)
    return Pointer(oid[1].decode(), int(size[1])) if oid and size else None


def bring(objects: Mapping[Path, Pointer], endpoint: str | Path, http: Http) -> None:
    """Put each object where it belongs, its sha256 and size checked."""
    missing = {path: each for path, each in objects.items() if not _there(path, each)}
    if isinstance(endpoint, Path):
        for path, each in missing.items():
            _copy(endpoint, each, path)
        return
    wanted = list(missing.items())
    for start in range(0, len(wanted), AT_ONCE):
        some = wanted[start : start + AT_ONCE]
        actions = dict(_ask(endpoint, [each for _, each in some], http))
        for path, each in some:
            if each.oid not in actions:
                raise MachineError(f"the LFS server does not say where {path.name} is", where=endpoint)
            href, headers = actions[each.oid]
            http.download(href, path, size=each.size, sha256=each.oid, headers=headers)


def _there(path: Path, each: Pointer) -> bool:
    return path.is_file() and path.stat().st_size == each.size and digest.of_file(path) == each.oid


def _copy(folder: Path, each: Pointer, path: Path) -> None:
    found = folder / each.oid[:2] / each.oid[2:4] / each.oid
    if not found.is_file():
        raise MachineError(
            f"{path.name}: its LFS object is not there", where=str(found), hint="run `git lfs fetch` in that repository"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(found, path)
    if not _there(path, each):
        path.unlink()
        raise IntegrityError(
            f"{path.name}: its LFS object is damaged",
            where=str(found),
            facts=[("expected", f"sha256 {each.oid}, {each.size} bytes")],
            hint="run `git lfs fsck` in that repository",
        )


def _ask(endpoint: str, some: Sequence[Pointer], http: Http) -> Iterator[tuple[str, tuple[str, dict[str, str]]]]:
    """The address, and the headers to send there, of every object."""
    request = {
        "operation": "download",
        "transfers": ["basic"],
        "hash_algo": "sha256",
        "objects": [{"oid": each.oid, "size": each.size} for each in {each.oid: each for each in some}.values()],
    }
    answer = http.post(f"{endpoint.rstrip('/')}/objects/batch", request, KIND)
    try:
        for row in answer["objects"]:
            if "error" in row:
                raise MachineError(
                    f"the LFS server has no {row['oid'][:12]}: {row['error'].get('message', 'no reason given')}",
                    where=endpoint,
                    hint="ask whoever keeps the repository to push its LFS objects",
                )
            yield row["oid"], _action(row["actions"]["download"])
    except (KeyError, TypeError, AttributeError) as error:
        raise MachineError("the LFS server's answer is not of the batch API", where=endpoint) from error


def _action(download: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
    headers = download.get("header") or {}
    return str(download["href"]), {str(name): str(value) for name, value in headers.items()}
