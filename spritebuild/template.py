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

[palettes.island]
colors = [
  "#1a1c2c", "#5d275d", "#b13e53", "#ef7d57", "#ffcd75", "#a7f070", "#38b764", "#257179",
  "#29366f", "#3b5dc9", "#41a6f6", "#73eff7", "#f4f4f4", "#94b0c2", "#566c86", "#333c57",
]

[styles.items]
model = "mini"
prompt = "{prompt}"                   # words around each sprite's own prompt
steps = 20
guidance = 3.0
finish = [
  { op = "alpha" },                   # every pixel opaque or transparent
  { op = "quantize", palette = "island" },
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
