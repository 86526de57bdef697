"""Every blob of a store damaged, each in a way of its own: all are noticed, set aside and made again by the next build.

SPRITEBUILD_FAULTS=all damages more than 1,000 blobs; otherwise those of one store.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from fault_processes import lines
from fault_project import (
    BUILD,
    HEAD,
    STAGES,
    Servers,
    copied,
    delivered,
    spritebuild,
    store_damage,
    write,
)

ALL = os.environ.get("SPRITEBUILD_FAULTS") == "all"
STORES = range(30 if ALL else 1)
GALLERY: dict[str, str | bytes] = {
    **STAGES,
    "spritefile.toml": HEAD
    + '\n[styles.flat]\nstage = "paint"\nfinish = [{ op = "outline" }]\n'
    + "".join(f'\n[sprites.s{n}]\nstyle = "flat"\nparams = {{ color = {9 * n} }}\n' for n in range(16))
    + '\n[sprites.slab]\nstage = "slab"\nparams = { color = 1 }\n'
    + '\n[sheets.all]\nsprites = ["s1*"]\n',
}


def truncated(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(1, len(data))]


def flipped(data: bytes, chance: random.Random) -> bytes:
    place = chance.randrange(len(data))
    return data[:place] + bytes([data[place] ^ 1 << chance.randrange(8)]) + data[place + 1 :]


def lengthened(data: bytes, chance: random.Random) -> bytes:
    return data + chance.randbytes(chance.randint(1, 99))


def emptied(data: bytes, chance: random.Random) -> bytes:
    return b""


def zeroed(data: bytes, chance: random.Random) -> bytes:
    """As many zeros: what some file systems leave after a power cut."""
    return bytes(len(data))


WAYS: list[Callable[[bytes, random.Random], bytes] | None] = [truncated, flipped, lengthened, emptied, zeroed, None]


def damage(path: Path, chance: random.Random) -> bytes | None:
    """Damage a file in some way, its time and mode as they were or not; returns its bytes, None if it is gone."""
    way = chance.choice(WAYS)
    if way is None:
        path.unlink()
        return None
    before = path.stat()
    data = way(path.read_bytes(), chance)
    path.chmod(0o644)
    path.write_bytes(data)
    if chance.random() < 0.5:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    path.chmod(chance.choice([0o444, 0o644, 0o600]))
    return data


@pytest.fixture(scope="module")
def gallery(bench: Path) -> Path:
    """A project that is built and up to date."""
    project = write(bench / "gallery", GALLERY)
    ended = spritebuild(project, *BUILD)
    assert ended.code == 0, ended
    return project


@pytest.mark.parametrize("number", STORES)
def test_every_damaged_blob_is_noticed_set_aside_and_made_again(
    number: int, gallery: Path, servers: Servers, bench: Path, tmp_path: Path
) -> None:
    chance = random.Random(number)
    project = copied(gallery, bench / f"damaged-{number}")
    reference = delivered(gallery)
    blobs = sorted((project / ".spritebuild" / "blobs").glob("*/*"))
    assert len(blobs) > 33
    runs = len(blobs)
    shutil.rmtree(project / "assets")  # so that every one of them is needed
    left = [damage(path, chance) for path in blobs]
    ended = servers.forked(project, *BUILD, FAULTS_RUNS=str(tmp_path / "runs"))
    assert ended.code == 0, ended
    aside = sorted(path.read_bytes() for path in (project / ".spritebuild" / "quarantine").rglob("*") if path.is_file())
    assert aside == sorted(data for data in left if data is not None)
    assert len(lines(tmp_path / "runs")) == 17  # each stage of the project's own, once
    assert delivered(project) == reference
    assert not store_damage(project)
    assert len(list((project / ".spritebuild" / "blobs").glob("*/*"))) == runs
    assert servers.forked(project, *BUILD).talk == "nothing to do\n"
    print(f"store {number}: {len(left)} blobs damaged, {left.count(None)} of them deleted")
    shutil.rmtree(project)


@pytest.mark.parametrize("number", STORES)
def test_every_damaged_blob_is_found_by_the_doctor(number: int, gallery: Path, servers: Servers, bench: Path) -> None:
    chance = random.Random(1000 + number)
    project = copied(gallery, bench / f"examined-{number}")
    blobs = sorted((project / ".spritebuild" / "blobs").glob("*/*"))
    left = [damage(path, chance) for path in chance.sample(blobs, 5)]
    here = len(left) - left.count(None)
    ended = servers.forked(project, "doctor", "--no-probe")
    assert ended.code == (4 if here else 0), ended
    assert not here or f"{here} damaged blob{'s' * (here > 1)} set aside" in ended.talk
    shutil.rmtree(project / "assets")
    assert servers.forked(project, *BUILD).code == 0
    assert delivered(project) == delivered(gallery)
    assert not store_damage(project)
    shutil.rmtree(project)
