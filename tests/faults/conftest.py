"""States of a small project, prepared once."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from fault_deeds import Deed, approving, collecting, few, hoard, pinning, pulling, pushing
from fault_processes import Holding, held
from fault_project import BUILD, FIRST, MANY, SECOND, WORKER, Servers, State, copied, delivered, write
from loopback import Site, serving
from projects import safetensors

MEMORY = Path("/dev/shm")
ENOUGH = 256 << 20


@pytest.fixture(scope="session")
def bench() -> Iterator[Path]:
    """A folder for hundreds of builds: in memory, where an fsync costs nothing, if there is room."""
    memory = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ENOUGH
    folder = Path(tempfile.mkdtemp(prefix="spritebuild-faults-", dir=MEMORY if memory else None)).resolve()
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """Processes in which commands start quickly."""
    found = Servers()
    yield found
    found.close()


@pytest.fixture(scope="session")
def states(servers: Servers, bench: Path) -> dict[str, State]:
    """`first`: never built. `edited`: built, then edited so that assets are replaced and one is stale. `worker`: never
    built, on a device that needs a worker process. `many`: never built, with
    so many assets that they are flushed together.
    """

    def built(name: str, files: dict[str, str | bytes]) -> Path:
        folder = write(bench / name, files)
        ended = servers.forked(folder, *BUILD)
        assert ended.code == 0, ended
        return folder

    first, second, worker = built("built-first", FIRST), built("built-second", SECOND), built("built-worker", WORKER)
    many = built("built-many", MANY)
    edited = write(copied(first, bench / "edited"), SECOND)
    return {
        "first": State("first", write(bench / "first", FIRST), {}, delivered(first)),
        "edited": State("edited", edited, delivered(first), delivered(second)),
        "worker": State("worker", write(bench / "worker", WORKER), {}, delivered(worker)),
        "many": State("many", write(bench / "many", MANY), {}, delivered(many)),
    }


@pytest.fixture(scope="session")
def commands(servers: Servers, bench: Path) -> Iterator[dict[str, Deed]]:
    """What is made to fail beside builds, by name."""
    site = Site({"/m/config.json": b"{}", "/m/unet/model.safetensors": safetensors(bytes(range(256)) * 4100)})
    with serving(site):
        loose, packed = pushing(servers, bench, "push", few()), pushing(servers, bench, "push-packs", hoard())
        found = [
            *(approving(servers, bench), collecting(servers, bench), loose, packed),
            pulling(servers, bench, loose, "pull", ("pull",)),
            pulling(servers, bench, packed, "pull-packs", ("pull",), locked=False),
            pulling(servers, bench, loose, "supply", BUILD, locked=False),
            *pinning(servers, bench, site.url),
        ]
        yield {deed.name: deed for deed in found}


@pytest.fixture
def holding(bench: Path, request: pytest.FixtureRequest) -> Iterator[Holding]:
    """A project of three sprites, the last of which is not made until the test says so."""
    stage = getattr(request, "param", "ponder")
    folder = Path(tempfile.mkdtemp(dir=bench))
    write(folder / "isle", held(stage))
    (folder / "hold").touch()
    yield Holding(folder / "isle", folder / "hold", folder / "runs")
    shutil.rmtree(folder)


@pytest.fixture
def island(states: dict[str, State], bench: Path) -> Iterator[Path]:
    """A project that is built and up to date."""
    folder = Path(tempfile.mkdtemp(dir=bench))
    yield copied(bench / "built-first", folder / "isle")
    shutil.rmtree(folder)
