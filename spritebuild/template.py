"""The spritefile that `spritebuild init` writes: small, working, and a tour of what there is."""

from __future__ import annotations

import json

GITIGNORE = ".spritebuild/"


def spritefile(name: str) -> str:
    """The text of a first spritefile for a project of that name."""
    return _TEXT.replace("NAME", json.dumps(name, ensure_ascii=False))


_TEXT = """\
# `spritebuild build` makes what is declared here; commit this file and lockfiles/.

[project]
name = NAME
assets = "assets"                     # finished pictures go here

[models.mini]
builtin = "sprite-mini"               # 32x32, made for a CPU; comes with spritebuild

[palettes.dungeon]
colors = [
  "#0d0b10", "#6e6e6d", "#a6a6a4", "#f0ece2", "#5a1410", "#c11717", "#e0682c", "#ead445",
  "#97772f", "#5a3a1e", "#e0a078", "#364d32", "#3daa32", "#22255b", "#2f71c9", "#8e3bb0",
]

[styles.items]
model = "mini"
prompt = "{prompt}"                   # words around each sprite's own prompt
steps = 20
guidance = 2.5
finish = [
  { op = "alpha" },                   # every pixel opaque or transparent
  { op = "quantize", palette = "dungeon" },
]

[sprites.potion]
style = "items"
category = "items"
prompt = "{color} potion"
matrix = { color = ["red", "blue", "green"] }   # three sprites: potion-red, potion-blue, potion-green

[sprites.sword]
style = "items"
category = "items"
prompt = "long sword"

[sheets.items]
sprites = ["potion-*", "sword"]
columns = 4
spacing = 1
"""
