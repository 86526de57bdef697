"""Everything that the page shows of one case: why it changed along the graph, colors, frames; decides nothing."""

from __future__ import annotations

import contextlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from spritebuild import lock
from spritebuild.check.cases import Case
from spritebuild.check.looks import looks
from spritebuild.graph import Action, Source
from spritebuild.plan import Decision, plan
from spritebuild.project import Project
from spritebuild.review import pixels, rows
from spritebuild.review.frames import Frame
from spritebuild.review.pixels import Index
from spritebuild.store import Damaged

MOST_ACTIONS = 100  # of a chain that are shown; a sheet may have thousands
COLOR = 6  # hexadecimal digits
Find = Callable[[str, str], Path | None]


def details(index: Index, case: Case, id: str | None, same: Sequence[str]) -> dict[str, Any]:
    """What is shown of a case beside its row. `id` is the action that installs it, `same` the paths of its group."""
    graph, left_out = _graph(index.project, case, id)
    now = _palette(index, case, case.digest, index.pictures.now)
    baseline = _palette(index, case, case.baseline, index.pictures.baseline)
    return {
        "declared": case.declared,
        "file": case.file,
        "line": case.line,
        "former": case.former,
        "platform": case.platform,
        "measures": dict(case.measures),
        "violations": [asdict(violation) for violation in case.violations],
        "parts": [asdict(part) for part in case.parts],
        "why": list(case.why),
        "graph": graph,
        "graph_left_out": left_out,
        "palette": {
            "now": now,
            "baseline": baseline,
            "added": [color for color in now if color not in set(baseline)],
            "removed": [color for color in baseline if color not in set(now)],
            "moved": [list(move) for move in case.measures.get("colors", ())],
        },
        **_pictures(index, case),
        **_animation(index, case),
        "same": list(same),
    }


# Pictures


def _pictures(index: Index, case: Case) -> dict[str, Any]:
    """The addresses of its pictures; of a folder, of every page, and of the page that is shown first."""
    if not lock.is_folder(case.path):
        return {"pictures": _three(index, case, ""), "pages": []}
    differing = [part.file for part in case.parts if part.file.lower().endswith(".png")]
    entry = index.project.known.lock.get(case.path)
    every = {file for name in (case.digest, case.baseline) for file in pixels.files_of(index.project, entry, name)}
    found = [{"file": file, **_three(index, case, file)} for file in pixels.pages(every)]
    worst = str(case.words).partition(": ")[0]  # a folder is called by the worst of its pictures
    first = sorted(found, key=lambda page: (page["file"] != worst, page["file"] not in differing, page["file"]))
    shown = {key: first[0][key] if first else None for key in ("now", "baseline", "former")}
    return {"pictures": shown, "pages": found}


def _three(index: Index, case: Case, file: str) -> dict[str, str | None]:
    """The addresses of one file of an asset, or of the asset itself."""
    entry = index.project.known.lock.get(case.path)
    sides = (
        ("now", case.digest, index.pictures.now),
        ("baseline", case.baseline, index.pictures.baseline),
        ("former", case.former, index.pictures.former),
    )
    made = {
        side: pixels.files_of(index.project, entry, name).get(file, "") if file else name for side, name, _ in sides
    }
    return {side: _address(index, find, case.path, file, made[side]) for side, _, find in sides}


def _address(index: Index, find: Find, path: str, file: str, made: str) -> str | None:
    if not made:
        return None
    try:
        return index.shown(find(path, file), made)
    except (Damaged, OSError):
        return None


# Colors


def _palette(index: Index, case: Case, name: str, find: Find) -> list[str]:
    """The visible colors of bytes, as `#rrggbb`, sorted: as the lock has them, or of the pixels. Empty for many."""
    if not name:
        return []
    entry = index.project.known.lock.get(case.path)
    known: Mapping[str, Any] = {}
    if entry is not None:
        of = {entry.before.get("digest"): entry.before.get("looks", {}), entry.digest: entry.looks}
        known = of.get(name, {})
    files = pixels.pages(pixels.files_of(index.project, entry, name)) if lock.is_folder(case.path) else [""]
    found: set[str] = set()
    for file in files:
        seen = known.get(file, {}) if file else known
        if not seen:
            try:
                place = find(case.path, file)
            except (Damaged, OSError):
                place = None
            seen = looks(place) if place is not None and pixels.is_png(place) else {}
        text = str(seen.get("palette", ""))
        found |= {f"#{text[at : at + COLOR]}" for at in range(0, len(text), COLOR)}
    return sorted(found)


# Frames


def _animation(index: Index, case: Case) -> dict[str, Any]:
    """Its frames, in their order now, then those that are gone; and its animations, as they are now."""
    now = rows.animation(index.project, index.pictures.now, case, case.digest)
    baseline = rows.animation(index.project, index.pictures.baseline, case, case.baseline)
    new, old = _keyed(now.frames), _keyed(baseline.frames)
    new_at = _addresses(index, case, case.digest, now.frames, index.pictures.now)
    old_at = _addresses(index, case, case.baseline, baseline.frames, index.pictures.baseline)
    shown = [
        {
            "name": key[1],
            "duration_ms": (new.get(key) or old[key]).duration,
            "now": _placed(new.get(key), new_at),
            "baseline": _placed(old.get(key), old_at),
        }
        for key in dict.fromkeys((*new, *old))
    ]
    told = now if now.frames else baseline
    tags = [
        {
            "name": tag.name,
            "from": tag.first,
            "to": tag.last,
            "fps": _fps(told.frames[tag.first : tag.last + 1]),
            "direction": tag.direction,
        }
        for tag in told.tags
    ]
    return {"frames": shown, "tags": tags}


def _keyed(frames: Sequence[Frame]) -> dict[tuple[str, str, int], Frame]:
    """Frames by what they are found again by: their picture, their name, and which of that name they are."""
    seen: Counter[tuple[str, str]] = Counter()
    found = {}
    for frame in frames:
        name = frame.image, frame.name
        found[*name, seen[name]] = frame
        seen[name] += 1
    return found


def _addresses(index: Index, case: Case, name: str, frames: Sequence[Frame], find: Find) -> dict[str, str | None]:
    """The addresses of the pictures that frames are parts of."""
    files = pixels.files_of(index.project, index.project.known.lock.get(case.path), name)
    return {image: _address(index, find, case.path, image, files[image]) for image in {f.image for f in frames}}


def _placed(frame: Frame | None, urls: Mapping[str, str | None]) -> dict[str, Any] | None:
    if frame is None or urls[frame.image] is None:
        return None
    rectangles = {"rect": list(frame.rect), "at": list(frame.at), "source": list(frame.source)}
    return {"url": urls[frame.image], **rectangles}


def _fps(frames: Sequence[Frame]) -> float:
    return round(1000 * len(frames) / sum(frame.duration for frame in frames), 3)


# The graph


def _graph(project: Project, case: Case, id: str | None) -> tuple[list[dict[str, Any]], int]:
    """The chain of actions behind an asset, producers first, and how many of them are left out."""
    if id is None:
        return [], 0
    wanted = project.graph.upstream([id])
    decided = plan(project.graph, project.known, frozenset([id]))
    reasons = _reasons(project, wanted, case.why)
    chain = [name for name in project.graph.actions if name in wanted]
    if len(chain) > MOST_ACTIONS:
        told = {name for name in chain if name in reasons or name == id or _verdict(decided.decisions, name) != "reuse"}
        near = [ref.action for ref in project.graph.actions[id].producers()]
        kept = {*[name for name in chain if name in told][-MOST_ACTIONS:], *near[: MOST_ACTIONS // 2], id}
        shown = [name for name in chain if name in kept]
    else:
        shown = chain
    found = [_action(project, project.graph.actions[name], decided.decisions.get(name), reasons) for name in shown]
    return found, len(chain) - len(shown)


def _verdict(decisions: Mapping[str, Decision], id: str) -> str:
    return decisions[id].verdict if id in decisions else "reuse"


def _reasons(project: Project, ids: set[str], why: Sequence[str]) -> dict[str, str]:
    """Which reasons of a change are about which action: those that begin with its declaration.

    What makes an asset that has no baseline is new, and did not change.
    """
    actions, locked = project.graph.actions, project.known.lock
    new = {
        actions[id].target
        for id in ids
        if any((entry := locked.get(path)) is None or not entry.approved for _, path in actions[id].installs)
    }
    found: dict[str, str] = {}
    for action in (actions[id] for id in sorted(ids) if actions[id].target not in new):
        for words in why:
            origins = (*action.origins.values(), f"stage {action.stage} is")
            origins += tuple(ref.name for _, ref in action.sources())
            if any(words.startswith((f"{origin} ", f"{origin}.", f"{origin}[")) for origin in origins if origin):
                found[action.id] = f"{found[action.id]}; {words}" if action.id in found else words
    return found


def _action(project: Project, action: Action, decision: Decision | None, reasons: Mapping[str, str]) -> dict[str, Any]:
    reason = (decision.reason if decision else "") or reasons.get(action.id, "")
    return {
        "action": action.id,
        "stage": action.stage,
        "version": action.version,
        "verdict": decision.verdict if decision else "reuse",
        "reason": reason,
        "params": list(_params(project, action, reason)),
        "inputs": [
            {"name": name, "from": ref.name if isinstance(ref, Source) else ref.action}
            for name, ref in action.inputs[:MOST_ACTIONS]
        ],
    }


def _params(project: Project, action: Action, reason: str) -> Iterator[dict[str, Any]]:
    """The params with where they were declared, and what they were, where that is known and something else."""
    before = project.store.description(action.id)
    old = before.params if before is not None and before.stage == action.stage else action.params
    for name in dict.fromkeys((*action.params, *old)):
        value, was = action.params.get(name), old.get(name)
        origin = action.origins.get(name, "")
        row = {"name": name, "value": value, "origin": origin}
        if was != value:
            row["was"] = was
        elif origin and (told := _was(origin, reason)) is not None:
            row["was"] = told
        yield row


def _was(origin: str, reason: str) -> Any:
    """What a reason such as `styles.base.steps 20 -> 28` says that a param was; None where it does not, or not all."""
    for found in re.finditer(rf"(?:^|, |; ){re.escape(origin)} ", reason):
        parts = reason[found.end() :].split(" -> ")
        for count in range(1, len(parts)):  # a prompt may have an arrow in it
            with contextlib.suppress(ValueError):
                return json.loads(" -> ".join(parts[:count]))
    return None
