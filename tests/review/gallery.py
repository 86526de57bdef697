"""A project of many small drawn sprites, approved and then changed in many ways; knows no review."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from projects import Project

from spritebuild import lock
from spritebuild.approve import Choice, approve
from spritebuild.status import Status

CREATURE = '''
"""A symmetric creature of 24x24 pixels out of a seed; the other params change it as an artist would."""

from pathlib import Path

from spritebuild.stage import Outputs, Params, Stage


class CreatureParams(Params):
    prompt: str = ""
    seed: int = 0
    dots: int = 0
    dye: str = ""
    moved: int = 0
    frame: int = 0


class CreatureOutputs(Outputs):
    image: Path = Path("image.png")


class Creature(Stage):
    version = 1
    Params = CreatureParams
    Outputs = CreatureOutputs

    def run(self, action, context):
        import numpy as np

        from spritebuild_stages.images import png

        params = action.params
        random = np.random.default_rng(params.seed)
        body = np.zeros((24, 24), bool)
        half = random.random((18, 9)) < 0.62
        half[4:14, 4:] |= random.random((10, 5)) < 0.8
        body[3:21, 3:12] = half
        body[3:21, 12:21] = half[:, ::-1]
        near = np.zeros_like(body)
        for dy, dx in ((0, 1), (0, -1), (1, 0), (-1, 0)):
            near |= np.roll(body, (dy, dx), (0, 1))
        hue = random.integers(0, 3)
        light = np.linspace(225, 95, 24).astype(int)[:, None] // 26 * 26
        rgb = np.zeros((24, 24, 3), int)
        rgb[...] = light[..., None] * np.roll([1.0, 0.62, 0.35], hue)
        if params.dye == "blue":
            rgb = rgb[..., ::-1] if hue == 0 else np.roll(rgb, 1, -1)
        rgba = np.zeros((24, 24, 4), np.uint8)
        rgba[body] = np.concatenate([rgb, np.full((24, 24, 1), 255)], -1)[body]
        rgba[near & ~body] = (24, 20, 32, 255)
        rgba[9 + params.frame % 3, [9, 14]] = (250, 250, 240, 255)
        for dot in range(params.dots):
            rgba[5 + dot * 3 % 14, 6 + dot % 12] = (255, 0, 128, 255)
        png.write(action.outputs.image, np.roll(rgba, params.moved, 1))
'''


@dataclass
class Gallery:
    """The project; paths of its sprites by what became of them since they were approved."""

    project: Project
    changed: list[str] = field(default_factory=list)
    new: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    same: list[str] = field(default_factory=list)

    @property
    def dotted(self) -> list[str]:
        """The assets of which some pixels changed; the more the further back, and again from one."""
        return [path for path in self.changed[:-2:3] if path.startswith("assets/creature")]

    def digests(self) -> dict[str, str]:
        """What the lock says that the assets are, by their paths; empty for what is gone."""
        return {path: entry.digest for path, entry in lock.read(self.project.root).items()}


HOSTILE = (
    "assets/<script>window.hit=1</script><img src=x onerror=window.hit=1>.png",
    "assets/right-to-left \u202egnp.exe\u202c.png",
    "assets/two\nlines::error::of\ttext.png",
    "assets/" + "long" * 2500 + ".png",
)
SHEET, CHOICE = "assets/strip*", "assets/choice.png"


def gallery(root: Path, count: int = 1000) -> Gallery:
    """`count` sprites to decide on: half of them changed, three tenths are new and the rest is gone; and some are not.

    Of those that changed a third got some pixels, a third another color, all alike, and a third moved by a pixel. Of
    those that are gone some have names that no spritefile would allow. There are a sheet of four frames, of which one
    changed, and a sprite with three candidates, too.
    """
    project = Project(root)
    project.stage("creature", CREATURE)
    made = Gallery(project)
    parts = (made.changed, count // 2), (made.new, count * 3 // 10 - 1), (made.deleted, count // 5 - len(HOSTILE) - 2)
    sprites: dict[str, dict[str, Any]] = {}
    made.new.append("choice")
    for names, many in (*parts, (made.same, 20)):
        for _ in range(many):
            name = f"creature-{len(sprites):04}"
            names.append(name)
            sprites[name] = {"style": "base", "prompt": f"creature {len(sprites)}", "seed": len(sprites)}
    for number in range(4):
        sprites[f"frame-{number}"] = {"style": "base", "prompt": "walk", "seed": 7, "params": {"frame": number}}
    made.same += [f"frame-{number}" for number in range(4) if number != 2]
    made.changed.append("frame-2")
    first = {name: sprite for name, sprite in sprites.items() if name not in {*made.new}}
    _build(project, first)
    approve_all(project)
    for number, name in enumerate(made.changed):
        edit = ({"dots": 1 + number % 7}, {"dye": "blue"}, {"moved": 1})[number % 3]
        sprites[name] = {**sprites[name], "params": sprites[name].get("params", {}) | edit}
    long = "a hostile <b>prompt</b>\n::error::\u202e " + "x" * 10_000
    sprites["choice"] = {"style": "base", "prompt": long, "seed": 5000, "candidates": 3}
    _build(project, {name: sprite for name, sprite in sprites.items() if name not in {*made.deleted}})
    entries = lock.read(root)
    gone = next(entry for entry in entries.values() if not entry.digest)
    lock.write(root, [*entries.values(), *(replace(gone, path=path) for path in HOSTILE)])
    for names in (made.changed, made.new, made.deleted, made.same):
        names[:] = [f"assets/{name}.png" for name in names]
    made.changed.append(SHEET)
    made.deleted += HOSTILE
    return made


def approve_all(project: Project) -> None:
    """Approve everything as it is now."""
    entries = lock.read(project.root).values()
    approve(project.path, [Choice(entry.path, entry.digest, "approve") for entry in entries], Status())


def _build(project: Project, sprites: dict[str, dict[str, Any]]) -> None:
    about = {"name": "gallery", "stages": "stages"}
    sheet = {"sprites": ["frame-*"], "columns": 2, "duration": 150, "tags": {"walk": {"frames": "frame-*"}}}
    styles = {"base": {"stage": "creature", "finish": [{"op": "alpha"}]}}
    project.write({"project": about, "styles": styles, "sprites": sprites, "sheets": {"strip": sheet}})
    project.build(jobs=2)
