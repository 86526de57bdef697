"""The declared limits that finished art breaks; compares nothing with a baseline."""

from __future__ import annotations

import fnmatch
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from spritebuild import plan
from spritebuild.assemblies import ART_CHECK, SHEET
from spritebuild.check.cases import Verdict, Violation
from spritebuild.gates import GATES
from spritebuild.graph import Action, Output
from spritebuild.lock import Entry
from spritebuild.project import Project
from spritebuild.spritefile import Check

Broken = Mapping[str, list[tuple[Violation, Verdict]]]


def broken(project: Project, assets: Iterable[tuple[Entry, Check]], picture: Callable[[str], Path | None]) -> Broken:
    """The violations of each asset, by its path, and what comes of each; `picture` finds the files of sprites.

    Limits of the art are known from those of its checks that have run.
    """
    makers = {path: action for action in project.graph.actions.values() for _, path in action.installs}
    found: dict[str, list[tuple[Violation, Verdict]]] = defaultdict(list)
    for path, violation in _of_the_art(project):
        found[path].append((violation, "fail"))
    first: dict[str, str] = {}
    for entry, rules in assets:
        if (pixels := entry.looks.get("pixels")) and isinstance(pixels, str) and rules.duplicates in ("report", "fail"):
            other = first.setdefault(pixels, entry.path)
            if other != entry.path:
                violation = Violation("duplicates", f"shows the same pixels as {other}")
                found[entry.path].append((violation, GATES[rules.duplicates]))
        action = makers.get(entry.path)
        if rules.flicker is not None and action is not None and action.stage == SHEET:
            found[entry.path] += [(one, "fail") for one in _flickers(action, makers, rules.flicker, picture)]
    return found


def art_reports(project: Project) -> dict[str, dict[str, Any]]:
    """The reports of the checks of the art whose results are known, by what they check, such as `styles.base`."""
    graph = project.graph
    ids = [id for id, action in graph.actions.items() if action.stage == ART_CHECK]
    if not ids:
        return {}
    decided = plan.plan(graph, project.known, frozenset(ids))
    return {
        id.removeprefix("checks.").partition(":")[0]: json.loads(
            Path(project.store.checked(decided.outputs[id]["report"])).read_bytes()
        )
        for id in ids
        if (decision := decided.decisions.get(id)) is not None and decision.verdict == "reuse"
    }


def _of_the_art(project: Project) -> Iterator[tuple[str, Violation]]:
    """The violations that the checks of the art told."""
    paths = {action.target: path for action in project.graph.actions.values() for _, path in action.installs[:1]}
    for report in art_reports(project).values():
        for sprite in report["sprites"]:
            for finding in sprite["findings"]:
                path = paths.get(f"sprites.{sprite['name']}")
                if finding["verdict"] == "violation" and path is not None:
                    yield path, Violation(finding["measure"], finding["sentence"])


def _flickers(
    sheet: Action, makers: Mapping[str, Action], most: float, picture: Callable[[str], Path | None]
) -> Iterator[Violation]:
    """The animations of a sheet that blink more than they may."""
    from spritebuild.check.flicker import flicker
    from spritebuild.check.pairs import read

    names = sheet.params["names"]
    numbers = dict(_frames(sheet))
    places = {names[numbers[action.id]]: path for path, action in makers.items() if action.id in numbers}
    for tag, said in sheet.params.get("tags", {}).items():
        patterns = [said["frames"]] if isinstance(said["frames"], str) else said["frames"]
        chosen = [name for pattern in patterns for name in names if fnmatch.fnmatchcase(name, pattern)]
        files = [picture(places[name]) for name in chosen if name in places]
        pictures = [pixels for file in files if file and (pixels := read(file)) is not None]
        share, place = flicker(pictures, closed=said.get("direction", "forward") in ("forward", "reverse"))
        if share > most:
            words = f"{tag}: {share:.1%} of its pixels blink at {chosen[place]}, more than {most:.1%}"
            yield Violation("flicker", words)


def _frames(sheet: Action) -> Iterator[tuple[str, int]]:
    """The actions that make a sheet's frames, and the number of each frame."""
    for name, ref in sheet.inputs:
        kind, _, number = name.partition(".")
        if kind == "frames" and isinstance(ref, Output):
            yield ref.action, int(number)
