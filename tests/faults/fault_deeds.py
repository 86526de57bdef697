"""Commands about to be run in a folder, what has to be true of it after any fault, and what heals it."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from fault_project import (
    BUILD,
    FIRST,
    HEAD,
    NOTING,
    SECOND,
    SECRET,
    STAGES,
    Ended,
    Servers,
    State,
    copied,
    damage,
    delivered,
    store_damage,
    unhealed,
    write,
)
from fault_strace import Run

from spritebuild.shared import signed

PUBLIC = signed.public_of(SECRET)
STORE = f'\n[store]\nurl = "../shared"\ntrusted = ["{PUBLIC}"]\n'
Wrong = list[str]


@dataclass(frozen=True)
class Deed:
    """A command, run in a project of a folder that holds all it may change.

    `damaged` is what is wrong right after a fault; nothing may be. `undone` is what is lacking though the command
    ended with exit status 0. `healed` runs it again, and says what is not as if there had been no fault.
    """

    name: str
    folder: Path
    run: Run
    damaged: Callable[[Path], Wrong]
    undone: Callable[[Path], Wrong]
    healed: Callable[[Servers, Path], Wrong]


def of_build(state: State) -> Deed:
    """A build of a project by itself."""
    return Deed(
        state.name,
        state.folder,
        Run(),
        lambda folder: damage(state, folder),
        lambda folder: unlike(delivered(folder), state.reference),
        lambda servers, folder: unhealed(servers, state, folder),
    )


def isle(*arguments: str) -> Run:
    """A command in the project of a folder that holds a project and what is beside it."""
    return Run(arguments, "isle")


def unlike(now: Mapping[str, bytes], reference: Mapping[str, bytes]) -> Wrong:
    """The paths that are not as in a reference."""
    wrong = sorted(path for path in now.keys() | reference.keys() if now.get(path) != reference.get(path))
    return [f"{wrong} unlike the reference"] if wrong else []


def again(
    servers: Servers, project: Path, *arguments: str, said: str | None = None, unsaid: str | None = None
) -> Wrong:
    """Run a command that has to end well, and say what is expected of it."""
    ended = servers.forked(project, *arguments)
    right = ended.code == 0 and (said is None or said in ended.talk) and (unsaid is None or unsaid not in ended.talk)
    return [] if right else [f"{' '.join(arguments)}: {ended}"]


def builds_without_running(servers: Servers, project: Path, reference: Mapping[str, bytes]) -> Wrong:
    """Install everything anew from what is stored; nothing may have to run for it."""
    shutil.rmtree(project / "assets", ignore_errors=True)
    wrong = again(servers, project, *BUILD, unsaid="ran ")
    wrong += unlike(delivered(project), reference)
    return wrong + again(servers, project, *BUILD, said="nothing to do\n") + store_damage(project)


def blobs(project: Path) -> set[str]:
    return {path.parent.name + path.name for path in (project / ".spritebuild" / "blobs").glob("*/*")}


def ended_well(ended: Ended) -> None:
    assert ended.code == 0, ended


# approve and gc: a project that was built, edited and built again


def edited(servers: Servers, bench: Path, name: str, *between: tuple[str, ...]) -> Path:
    """Such a project, with commands that were run before the edit."""
    folder = bench / name
    project = write(folder / "isle", FIRST)
    for arguments in (BUILD, *between):
        ended_well(servers.forked(project, *arguments))
    write(project, SECOND)
    ended_well(servers.forked(project, *BUILD))
    return folder


def approving(servers: Servers, bench: Path) -> Deed:
    """Other bytes than were approved become the baseline."""
    folder = edited(servers, bench, "approving", ("approve", "--all"))
    before = delivered(folder / "isle")
    after = copied(folder, bench / "approved")
    ended_well(servers.forked(after / "isle", "approve", "--all"))
    reference = delivered(after / "isle")
    assert reference != before

    def damaged(folder: Path) -> Wrong:
        now = delivered(folder / "isle")
        return store_damage(folder / "isle") + ([] if now in (before, reference) else ["the lock is half-approved"])

    def healed(servers: Servers, folder: Path) -> Wrong:
        wrong = again(servers, folder / "isle", "approve", "--all") + unlike(delivered(folder / "isle"), reference)
        wrong += again(servers, folder / "isle", *BUILD)
        return wrong + again(servers, folder / "isle", *BUILD, said="nothing to do\n")

    return Deed(
        "approve",
        folder,
        isle("approve", "--all"),
        damaged,
        lambda folder: unlike(delivered(folder / "isle"), reference),
        healed,
    )


def collecting(servers: Servers, bench: Path) -> Deed:
    """What nothing needs any more is removed from the store."""
    folder = edited(servers, bench, "collecting")
    reference = delivered(folder / "isle")
    after = copied(folder, bench / "collected")
    ended_well(servers.forked(after / "isle", "gc", "--keep-days", "0"))
    live = blobs(after / "isle")
    assert live < blobs(folder / "isle")

    def damaged(folder: Path) -> Wrong:
        lost = live - blobs(folder / "isle")
        return store_damage(folder / "isle") + [f"{name} is needed and gone" for name in lost]

    def undone(folder: Path) -> Wrong:
        return [f"{name} is left" for name in blobs(folder / "isle") - live]

    def healed(servers: Servers, folder: Path) -> Wrong:
        wrong = again(servers, folder / "isle", "gc", "--keep-days", "0") + undone(folder)
        return wrong + builds_without_running(servers, folder / "isle", reference)

    return Deed("gc", folder, isle("gc", "--keep-days", "0"), damaged, undone, healed)


# push, pull and what a build takes from a shared store


def hoard() -> dict[str, str | bytes]:
    """So many sprites that their blobs and traces travel in packs."""
    sprites = "".join(f'\n[sprites.s{color}]\nstage = "paint"\nparams = {{ color = {color} }}\n' for color in range(17))
    slab = '\n[sprites.slab]\nstage = "slab"\nparams = { color = 1 }\n'
    return {**STAGES, "spritefile.toml": HEAD + sprites + slab + STORE}


def few() -> dict[str, str | bytes]:
    """So few that each of them is a file of its own there."""
    return {**FIRST, "spritefile.toml": f"{FIRST['spritefile.toml']}{STORE}"}


def pushing(servers: Servers, bench: Path, name: str, files: Mapping[str, str | bytes]) -> Deed:
    """What was built is put into an empty shared store."""
    folder = bench / name
    (folder / "shared").mkdir(parents=True)
    project = write(folder / "isle", files)
    ended_well(servers.forked(project, *BUILD))
    after = copied(folder, bench / f"{name}-pushed")
    ended_well(servers.forked(after / "isle", "push"))
    everything = there(after / "shared")
    assert len(everything) > 8

    def damaged(folder: Path) -> Wrong:
        return store_damage(folder / "isle") + shared_damage(folder / "shared")

    def undone(folder: Path) -> Wrong:
        return [f"{name} is not there" for name in sorted(everything - there(folder / "shared"))]

    def healed(servers: Servers, folder: Path) -> Wrong:
        return again(servers, folder / "isle", "push") + damaged(folder) + undone(folder)

    return Deed(name, folder, isle("push"), damaged, undone, healed)


def pulling(
    servers: Servers, bench: Path, pushed: Deed, name: str, arguments: tuple[str, ...], *, locked: bool = True
) -> Deed:
    """A clone takes from the shared store what a push has put there."""
    folder = copied(bench / f"{pushed.name}-pushed", bench / name)
    reference = delivered(folder / "isle")
    for left in (".spritebuild", "assets", *([] if locked else ["lockfiles"])):
        shutil.rmtree(folder / "isle" / left)
    after = copied(folder, bench / f"{name}-done")
    ended_well(servers.forked(after / "isle", *arguments))
    everything = blobs(after / "isle")
    there_before = there(folder / "shared")

    def damaged(folder: Path) -> Wrong:
        wrong = store_damage(folder / "isle") + shared_damage(folder / "shared")
        now = delivered(folder / "isle")
        wrong += [
            f"{path} is half-written"
            for path, data in now.items()
            if path.startswith("assets") and data != reference[path]
        ]
        return wrong + [f"{name} is gone from there" for name in there_before - there(folder / "shared")]

    def undone(folder: Path) -> Wrong:
        return [f"{name} is not here" for name in sorted(everything - blobs(folder / "isle"))]

    def healed(servers: Servers, folder: Path) -> Wrong:
        wrong = again(servers, folder / "isle", *arguments, unsaid="ran ") + undone(folder)
        (folder / "shared").rename(folder / "away")
        wrong += builds_without_running(servers, folder / "isle", reference)
        (folder / "away").rename(folder / "shared")
        return wrong

    return Deed(name, folder, isle(*arguments), damaged, undone, healed)


def there(shared: Path) -> set[str]:
    """What a reader finds in a shared store: blobs by digest, traces by key, loose and in packs."""
    found = {
        f"{kind} {path.parent.name}{path.name}" for kind in ("blobs", "traces") for path in shared.glob(f"{kind}/*/*")
    }
    for kind, folder in (("blobs", "packs"), ("traces", "trace-packs")):
        for index in shared.glob(f"{folder}/*.index"):
            if index.with_suffix("").exists():
                found |= {f"{kind} {name}" for name in json.loads(index.read_bytes())}
    return found


def shared_damage(shared: Path) -> Wrong:
    """Whatever lies in a shared store under a final name and is not what that name says."""
    wrong = []
    for name, data in pieces(shared, "blobs", "packs"):
        if hashlib.sha256(data).hexdigest() != name:
            wrong.append(f"blob {name} there holds other bytes")
    found = there(shared)
    for key, data in pieces(shared, "traces", "trace-packs"):
        try:
            outputs, _ = signed.read(data, key, [PUBLIC])
        except signed.Refused as refused:
            wrong.append(f"trace {key} there {refused}")
        else:
            gone = [name for name in outputs.values() if f"blobs {name.rstrip('/')}" not in found]
            wrong += [f"trace {key} speaks of {name}, which is not there" for name in gone]
    return wrong


def pieces(shared: Path, loose: str, packed: str) -> Iterable[tuple[str, bytes]]:
    """The bytes of every blob or trace there, by its name."""
    for path in shared.glob(f"{loose}/*/*"):
        yield path.parent.name + path.name, path.read_bytes()
    for index in shared.glob(f"{packed}/*.index"):
        pack = index.with_suffix("")
        data = pack.read_bytes() if pack.exists() else b""
        if hashlib.sha256(data).hexdigest() != pack.name:
            yield pack.name, data
        for name, (offset, length) in json.loads(index.read_bytes()).items():
            yield name, data[offset : offset + length]


# lock and fetch: weights at an address

PRESS = f'''"""A picture whose color is that of some weights."""
{NOTING}
from spritebuild.stage import Inputs


class PressParams(Params):
    color: int = 0


class PressInputs(Inputs):
    model: Path


class PressOutputs(Outputs):
    image: Path = Path("image.png")


class Press(Stage):
    version = 1
    Params = PressParams
    Inputs = PressInputs
    Outputs = PressOutputs

    def run(self, action, context):
        note("press", action.params)
        weights = b"".join(path.read_bytes() for path in sorted(action.inputs.model.rglob("*.safetensors")))
        action.outputs.image.write_bytes(png(sum(weights) % 256))
'''


def weighed(url: str) -> dict[str, str | bytes]:
    """A project with a model of two files below an address."""
    model = f'\n[models.mine]\nurl = "{url}/m"\nfiles = ["config.json", "unet/model.safetensors"]\nlicence = "MIT"\n'
    sprite = '\n[sprites.stone]\nstage = "press"\nmodel = "mine"\n'
    return {**STAGES, "stages/press.py": PRESS, "spritefile.toml": HEAD + model + sprite}


def pinning(servers: Servers, bench: Path, url: str) -> tuple[Deed, Deed]:
    """Weights are pinned for the first time; and a clone fetches what is pinned."""
    folder = bench / "locking"
    write(folder / "isle", weighed(url))
    fetching = copied(folder, bench / "fetching")
    ended_well(servers.forked(fetching / "isle", "lock"))
    pinned = delivered(fetching / "isle")
    after = copied(fetching, bench / "fetched")
    ended_well(servers.forked(after / "isle", *BUILD))
    reference = delivered(after / "isle")
    shutil.rmtree(fetching / "isle" / ".spritebuild")
    fetched = {path.relative_to(after): path.read_bytes() for path in weights(after / "isle")}
    assert len(fetched) == 2

    def damaged(folder: Path) -> Wrong:
        wrong = store_damage(folder / "isle")
        wrong += [
            f"{path} is half-written" for path, data in delivered(folder / "isle").items() if pinned[path] != data
        ]
        here = {path.relative_to(folder): path.read_bytes() for path in weights(folder / "isle")}
        return wrong + [f"{path} holds other bytes" for path, data in here.items() if fetched.get(path) != data]

    def healed(servers: Servers, folder: Path, command: str) -> Wrong:
        wrong = again(servers, folder / "isle", *command.split())
        wrong += unlike(delivered(folder / "isle"), pinned)
        wrong += again(servers, folder / "isle", *BUILD) + unlike(delivered(folder / "isle"), reference)
        wrong += again(servers, folder / "isle", *BUILD, said="nothing to do\n")
        wrong += [f"{path} is not here" for path in fetched if not (folder / path).exists()]
        left = sorted(path.name for path in (folder / "isle/.spritebuild/models").glob("arriving-*"))
        return wrong + ([f"{left} left"] if left else []) + store_damage(folder / "isle")

    def undone(folder: Path) -> Wrong:
        lost = [f"{path} is not here" for path in fetched if not (folder / path).exists()]
        return lost + unlike(delivered(folder / "isle"), pinned)

    return (
        Deed("lock", folder, isle("lock"), damaged, undone, lambda servers, folder: healed(servers, folder, "lock")),
        Deed(
            "fetch",
            fetching,
            isle("fetch", "--all"),
            damaged,
            undone,
            lambda servers, folder: healed(servers, folder, "fetch --all"),
        ),
    )


def weights(project: Path) -> list[Path]:
    """The fetched files that are under their final names."""
    kept = project / ".spritebuild" / "models"
    return [path for top in kept.glob("[0-9a-f]*") if len(top.name) == 64 for path in top.rglob("*") if path.is_file()]
