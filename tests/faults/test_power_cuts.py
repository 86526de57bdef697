"""The power is cut at any moment: nothing is torn, nothing is lost that a command had said, the next build heals.

SPRITEBUILD_FAULTS=all makes 200 cuts on each file system; otherwise a few on ext4.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from fault_deeds import PUBLIC, blobs, shared_damage, there, weighed, weights
from fault_disk import WRITE, Cut, Disk, Record, after, disk, records, why_not
from fault_project import (
    BUILD,
    ENVIRONMENT,
    HEAD,
    STAGES,
    Servers,
    command,
    delivered,
    store_damage,
    write,
)
from loopback import Site, serving
from projects import safetensors

ALL = os.environ.get("SPRITEBUILD_FAULTS") == "all"
CUTS = int(os.environ.get("SPRITEBUILD_CUTS", 200 if ALL else 6))
STORE = f'\n[store]\nurl = "../shared"\ntrusted = ["{PUBLIC}"]\n'
PAINTED = "".join(f'\n[sprites.s{color}]\nstage = "paint"\nparams = {{ color = {color} }}\n' for color in range(12))
SLAB = '\n[sprites.slab]\nstage = "slab"\nparams = { color = 1 }\n'
PONDERED = "".join(
    f'\n[sprites.{name}]\nstage = "ponder"\nparams = {{ color = {color} }}\n'
    for name, color in (("sage", 30), ("owl", 40))
)
OLD = {**STAGES, "spritefile.toml": HEAD + PAINTED + SLAB + PONDERED + STORE}
NEW = {**OLD, "spritefile.toml": OLD["spritefile.toml"].replace("color = 1 }", "color = 2 }").replace("= 30", "= 31")}
Wrong = list[str]


@dataclass(frozen=True)
class Promise:
    """Something that was said when the log was so long, and what is lost of it at a later cut."""

    end: int
    until: int  # how long the log was when the project's next command began, which may change it
    project: str
    said: str
    lost: Callable[[Path], Wrong]
    stays: bool  # whatever later commands do


@dataclass
class Story:
    """Commands run on a disk: what each promised, and the states of projects between them."""

    disk: Disk
    states: dict[str, list[tuple[int, Mapping[str, bytes]]]] = field(default_factory=dict)  # before and after commands
    promises: list[Promise] = field(default_factory=list)

    def prepare(self, name: str, files: Mapping[str, str | bytes]) -> None:
        """What a user writes, and it is durable before a command begins."""
        folder = write(self.disk.mounted / name, files)
        subprocess.run(["sync", "-f", str(folder)], check=True)
        self.states.setdefault(name, []).append((self.disk.position(), delivered(folder)))

    def run(self, name: str, *arguments: str, promise: Callable[[Path], Callable[[Path], Wrong]] | None = None) -> None:
        """Run a command in a project and keep what it promises, line by line and by ending well."""
        folder = self.disk.mounted / name
        begun = self.disk.position()
        self.promises = [
            replace(each, until=min(each.until, begun)) if each.project == name and not each.stays else each
            for each in self.promises
        ]
        said: list[tuple[int, dict[str, str]]] = []
        with subprocess.Popen(
            command(*arguments), cwd=folder, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            said += [
                (self.disk.position(), json.loads(line)) for line in process.stdout if line.startswith(b'{"event"')
            ]
        assert process.returncode == 0, arguments
        end = self.disk.position()
        now = delivered(folder)
        self.states[name].append((end, now))

        def promised(end: int, what: str, lost: Callable[[Path], Wrong], *, stays: bool = False) -> None:
            self.promises.append(Promise(end, sys.maxsize, name, f"{name}: {what}", lost, stays))

        for position, event in said:
            if event["event"] == "installed":
                path = event["path"]
                promised(position, f"{path} was installed", _same(name, {path: now[path]}))
            elif event["event"] == "finished" and event["stage"] == "ponder":
                promised(position, f"{event['action']} is stored", _stored(name, event["action"]), stays=True)
        promised(end, f"{' '.join(arguments)} ended well", _same(name, now))
        if promise is not None:
            promised(end, f"{' '.join(arguments)} moved everything", promise(self.disk.mounted), stays=True)


def _same(name: str, files: Mapping[str, bytes]) -> Callable[[Path], Wrong]:
    """Whether files of a project are as they were."""

    def lost(top: Path) -> Wrong:
        now = delivered(top / name)
        return [f"{name}/{path}" for path, data in files.items() if now.get(path) != data]

    return lost


def _stored(name: str, action: str) -> Callable[[Path], Wrong]:
    """Whether the store has a trace of an action, and what it speaks of."""

    def lost(top: Path) -> Wrong:
        found = [outputs for known, outputs in traces(top / name) if known == action]
        return [] if found else [f"the trace of {action}"]

    return lost


def _pushed(top: Path) -> Callable[[Path], Wrong]:
    everything = there(top / "shared")
    return lambda top: sorted(everything - there(top / "shared"))


def _pulled(top: Path) -> Callable[[Path], Wrong]:
    everything = blobs(top / "clone")
    return lambda top: sorted(everything - blobs(top / "clone"))


def _fetched(top: Path) -> Callable[[Path], Wrong]:
    here = {path.relative_to(top): path.read_bytes() for path in weights(top / "rock")}
    assert len(here) == 2
    return lambda top: [
        str(path) for path, data in here.items() if not (top / path).exists() or (top / path).read_bytes() != data
    ]


def traces(project: Path) -> list[tuple[str, dict[str, str]]]:
    """Every trace of a store, by action; the database is recovered, as the next command would."""
    path = project / ".spritebuild/traces.db"
    if not path.exists():
        return []
    with closing(sqlite3.connect(path)) as database:
        if not database.execute("SELECT count(*) FROM sqlite_master WHERE name='traces'").fetchone()[0]:
            return []
        rows = database.execute("SELECT action, outputs FROM traces")
        return [(action, json.loads(outputs)) for action, outputs in rows]


def told(disk: Disk, url: str) -> Story:
    """A project is built, approved, edited, built again and pushed; a clone pulls it and builds; old blobs are removed.

    Another one pins weights, fetches them and builds with them.
    """
    story = Story(disk)
    (disk.mounted / "shared").mkdir()
    story.prepare("isle", OLD)
    story.run("isle", *BUILD, "--json")
    story.run("isle", "approve", "--all")
    story.prepare("isle", NEW)
    story.run("isle", *BUILD, "--json")
    story.run("isle", "push", promise=_pushed)
    clone = {path: data for path, data in delivered(disk.mounted / "isle").items() if path.startswith("lockfiles")}
    story.prepare("clone", {**NEW, **clone})
    story.run("clone", "pull", promise=_pulled)
    story.run("clone", *BUILD, "--json")
    story.run("isle", "gc", "--keep-days", "0")
    story.prepare("rock", weighed(url))
    story.run("rock", "lock")
    story.run("rock", "fetch", "--all", promise=_fetched)
    story.run("rock", *BUILD, "--json")
    return story


@pytest.fixture(scope="module", params=["ext4", "xfs"] if ALL else ["ext4"])
def cut_off(request: pytest.FixtureRequest, bench: Path) -> Iterator[tuple[Story, list[Record]]]:
    """What happened on a disk of that file system, and all that was written to it."""
    if why := why_not(request.param):
        pytest.skip(why)
    folder = bench / f"disk-{request.param}"
    folder.mkdir()
    site = Site({"/m/config.json": b"{}", "/m/unet/model.safetensors": safetensors(bytes(range(256)) * 410)})
    with serving(site):
        with disk(folder, request.param) as made:
            story = told(made, site.url)
        yield story, records(made.log)
    shutil.rmtree(folder)


def cuts(story: Story, written: list[Record], count: int) -> list[Cut]:
    """So many moments, at random among the writes of the commands; half of them lose what the disk had cached."""
    chance = random.Random(6)
    first = next(number for number, record in enumerate(written) if record.end >= story.states["isle"][0][0])
    moments = [number + 1 for number, record in enumerate(written) if number > first and record.kind == WRITE]
    chosen = sorted(chance.choices(moments, k=count))
    return [Cut(moment, chance.getrandbits(32) if chance.random() < 0.5 else None) for moment in chosen]


def torn(story: Story, cut: int, top: Path) -> Wrong:
    """What is on the disk and was never meant to be: not as before a command, nor as after it."""
    wrong = shared_damage(top / "shared")
    for name, states in story.states.items():
        folder = top / name
        if cut < states[0][0]:  # what the user wrote is not durable yet
            continue
        wrong += store_damage(folder)
        here = blobs(folder)
        for action, outputs in traces(folder):
            lost = [blob for blob in outputs.values() if blob not in here]
            wrong += [f"{name}: the trace of {action} speaks of a lost {blob}" for blob in lost]
        later = [number for number, (end, _) in enumerate(states) if end > cut]
        last = later[0] if later else len(states) - 1
        allowed = [state for _, state in states[max(0, last - 1) : last + 1]]
        for path, data in delivered(folder).items():
            versions = [state[path] for state in allowed if path in state]
            if path.endswith(".lock"):
                lines = {line for text in versions for line in text.splitlines(keepends=True)}
                if not lines.issuperset(data.splitlines(keepends=True)):
                    wrong.append(f"{name}/{path} holds a line of no command")
            elif data not in versions:
                wrong.append(f"{name}/{path} is torn: {len(data)} bytes")
    return wrong


def heals(servers: Servers, story: Story, cut: int, top: Path) -> Wrong:
    """Whether the next build, and the next push, end as if there had been no cut."""
    wrong = []
    for name, states in story.states.items():
        folder = top / name
        if cut < states[0][0]:  # what the user wrote is not durable yet
            continue
        if name == "isle":
            write(folder, NEW)
        ended = servers.forked(folder, *BUILD)
        if ended.code != 0:
            wrong.append(f"{name}: the next build ended with {ended.code}: {ended.talk}")
        now = delivered(folder)
        wrong += [
            f"{name}: the next build left {path} unlike the reference"
            for path, data in states[-1][1].items()
            if path.startswith("assets/") and now.get(path) != data
        ]
        last = servers.forked(folder, *BUILD)
        if (last.code, last.talk) != (0, "nothing to do\n"):
            wrong.append(f"{name}: the build after it: {last}")
        wrong += store_damage(folder)
    pushed = servers.forked(top / "isle", "push")
    if pushed.code != 0:
        wrong.append(f"the next push ended with {pushed.code}: {pushed.talk}")
    return wrong + shared_damage(top / "shared")


def test_a_power_cut_tears_nothing_loses_nothing_that_was_said_and_the_next_build_heals(
    cut_off: tuple[Story, list[Record]], servers: Servers, bench: Path
) -> None:
    story, written = cut_off
    assert len(story.promises) > 30
    faults: Wrong = []
    kept = 0
    for cut in cuts(story, written, CUTS):
        position = written[cut.records - 1].end
        with after(cut, story.disk, written, bench / "cut") as top:
            wrong = torn(story, position, top)
            due = [promise for promise in story.promises if promise.end <= position < promise.until]
            kept += len(due)
            wrong += [f"lost, though it said {each.said}: {what}" for each in due for what in each.lost(top)]
            wrong += heals(servers, story, position, top)
        faults += [f"{cut}: {what}" for what in wrong]
    print(f"{story.disk.kind}: {CUTS} cuts among {len(written):,} writes and flushes, {kept:,} promises looked at")
    if faults:
        pytest.fail("\n\n".join(faults), pytrace=False)
