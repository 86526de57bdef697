"""The declared limits that finished art breaks; compares nothing with a baseline.

Size, number of colors and palette are told by the fingerprints in the lock. What else a style limits is measured by its
check of the art, an action that has to run before.
"""

from __future__ import annotations

import contextlib
import fnmatch
import itertools
import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from spritebuild import plan
from spritebuild.check.cases import Verdict, Violation
from spritebuild.gates import GATES
from spritebuild.graph import Action, Output
from spritebuild.lock import Entry
from spritebuild.project import Project
from spritebuild.resolution.assemblies import ART_CHECK, SHEET
from spritebuild.spritefile import Check
from spritebuild.store import Damaged

Broken = Mapping[str, list[tuple[Violation, Verdict]]]
TOLD = {"size", "max_colors", "palette"}  # the limits that fingerprints tell of
MOST_NAMED = 4  # colors of a violation


def broken(
    project: Project,
    makers: Mapping[str, Action],
    assets: Iterable[tuple[Entry, Check]],
    picture: Callable[[str], Path | None],
) -> Broken:
    """The violations of each asset, by its path, and what comes of each.

    `makers` are the actions that make assets, by path, and `picture` finds the files of sprites.

    Limits of the art are known from those of its checks that have run.
    """
    found: dict[str, list[tuple[Violation, Verdict]]] = defaultdict(list)
    for path, violation in (*_told(project), *_measured(project)):
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


def measuring(project: Project) -> frozenset[str]:
    """The actions that have to run before everything declared can be judged."""
    return frozenset(action.id for action in _checks(project) if not _is_told(action))


def art_reports(project: Project, ids: Collection[str]) -> dict[str, dict[str, Any]]:
    """The reports of checks of the art whose results are known, by what they check, such as `styles.base`."""
    if not ids:
        return {}
    decided = plan.plan(project.graph, project.known, frozenset(ids))
    return {
        id.removeprefix("checks.").partition(":")[0]: json.loads(
            Path(project.store.checked(decided.outputs[id]["report"])).read_bytes()
        )
        for id in ids
        if (decision := decided.decisions.get(id)) is not None and decision.verdict == "reuse"
    }


def _checks(project: Project) -> list[Action]:
    return [action for action in project.graph.actions.values() if action.stage == ART_CHECK]


def _is_told(check: Action) -> bool:
    """Whether fingerprints tell everything that a check is limited by."""
    return {*check.params.get("limits", {})} <= TOLD


def _sprites(project: Project, check: Action, known: Mapping[str, Entry]) -> Iterator[tuple[str, Entry]]:
    """The names and the lock's entries of the sprites that a check is of."""
    numbers = {ref.action: int(name.partition(".")[2]) for name, ref in _pictures(check, "images")}
    for action in numbers:
        for _, path in project.graph.actions[action].installs[:1]:
            if path in known:
                yield check.params["names"][numbers[action]], known[path]


def unjudged(project: Project) -> list[str]:
    """The palettes that fingerprints cannot be judged by, because what they are chosen from is not here."""
    chosen = _chosen(project)
    refs = (pair for check in filter(_is_told, _checks(project)) for pair in _pictures(check, "palettes"))
    return sorted({name for name, ref in refs if ref not in chosen})


def _told(project: Project) -> Iterator[tuple[str, Violation]]:
    """The violations that fingerprints tell of."""
    stage: Any = project.stages[ART_CHECK]
    chosen = _chosen(project)
    for check in filter(_is_told, _checks(project)):
        limits = check.params.get("limits", {})
        files = {name: project.root / source.name for name, source in check.sources() if name.startswith("palettes.")}
        refs = dict(_pictures(check, "palettes"))
        files |= {name: chosen[ref] for name, ref in refs.items() if ref in chosen}
        complete = chosen.keys() >= {*refs.values()}
        colors = stage.colors(limits.get("palette", ()), files) if complete else ()
        for name, entry in _sprites(project, check, project.known.lock):
            yield from ((entry.path, violation) for violation in _of_looks(name, entry.looks, limits, colors))


def _chosen(project: Project) -> dict[Output, Path]:
    """The files of the palettes that are chosen from sprites and judge others, as far as they are here."""
    refs = {ref for check in filter(_is_told, _checks(project)) for _, ref in _pictures(check, "palettes")}
    if not refs:
        return {}
    outputs = plan.plan(project.graph, project.known, frozenset(ref.action for ref in refs)).outputs
    found = {}
    for ref in refs:
        made = outputs.get(ref.action, {}).get(ref.name)
        installed = dict(project.graph.actions[ref.action].installs).get(ref.name)
        if made is not None and installed is not None and project.known.asset(installed) == made:
            found[ref] = project.root / installed
        elif made is not None and project.store.has(made):
            with contextlib.suppress(Damaged):
                found[ref] = Path(project.store.checked(made))
    return found


def _of_looks(
    name: str, looks: Mapping[str, Any], limits: Mapping[str, Any], allowed: Collection[str]
) -> Iterator[Violation]:
    if not looks:
        return
    if limits.get("size") not in (None, looks["size"]):
        yield Violation("size", "{} is {}x{}, not {}x{}".format(name, *looks["size"], *limits["size"]))
    if looks["colors"] > limits.get("max_colors", looks["colors"]):
        yield Violation("colors", f"{name} has {looks['colors']} colors, more than {limits['max_colors']}")
    if allowed and "palette" in looks:
        text = looks["palette"]
        foreign = [f"#{text[at : at + 6]}" for at in range(0, len(text), 6) if f"#{text[at : at + 6]}" not in allowed]
        if foreign:
            some = ", ".join(foreign[:MOST_NAMED]) + (", ..." if len(foreign) > MOST_NAMED else "")
            count = "a color" if len(foreign) == 1 else f"{len(foreign)} colors"
            yield Violation("palette", f"{name} has {count} that its palette lacks: {some}")
    elif allowed and looks["colors"] > len(allowed):
        yield Violation("palette", f"{name} has {looks['colors']} colors, its palette {len(allowed)}")


def _measured(project: Project) -> Iterator[tuple[str, Violation]]:
    """The violations that checks of the art have found."""
    ids = measuring(project)
    checks = [project.graph.actions[id] for id in ids]
    paths = {name: entry.path for check in checks for name, entry in _sprites(project, check, project.known.lock)}
    for report in art_reports(project, ids).values():
        for sprite in report["sprites"]:
            for finding in sprite["findings"]:
                if finding["verdict"] == "violation" and sprite["name"] in paths:
                    yield paths[sprite["name"]], Violation(finding["measure"], finding["sentence"])


def _flickers(
    sheet: Action, makers: Mapping[str, Action], most: float, picture: Callable[[str], Path | None]
) -> Iterator[Violation]:
    """The animations of a sheet that blink more than they may."""
    from spritebuild.check.flicker import flicker
    from spritebuild.check.pairs import read

    names = sheet.params["names"]
    numbers = {ref.action: int(name.partition(".")[2]) for name, ref in _pictures(sheet, "frames")}
    places = {names[numbers[action.id]]: path for path, action in makers.items() if action.id in numbers}
    for tag, said in sheet.params.get("tags", {}).items():
        patterns = [said["frames"]] if isinstance(said["frames"], str) else said["frames"]
        meant = [[each] if each in names else [n for n in names if fnmatch.fnmatchcase(n, each)] for each in patterns]
        chosen = [name for name in dict.fromkeys(itertools.chain(*meant)) if name in places]
        files = [(name, picture(places[name])) for name in chosen]
        frames = [(name, pixels) for name, file in files if file and (pixels := read(file)) is not None]
        closed = said.get("direction", "forward") in ("forward", "reverse")
        share, place = flicker([pixels for _, pixels in frames], closed=closed)
        if share > most:
            words = f"{tag}: {share:.1%} of its pixels blink at {frames[place][0]}, more than {most:.1%}"
            yield Violation("flicker", words)


def _pictures(action: Action, kind: str) -> Iterator[tuple[str, Output]]:
    """The inputs of a kind, such as frames.0, that other actions make."""
    return ((name, ref) for name, ref in action.inputs if isinstance(ref, Output) and name.startswith(f"{kind}."))
