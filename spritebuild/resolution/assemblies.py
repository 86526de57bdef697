"""What is made of finished sprites, as actions: sheets, what game engines load of them, and checks of the art."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import ValidationError

from spritebuild.graph import Action, Output, Ref, Source
from spritebuild.resolution.faults import Faults, Where, dotted
from spritebuild.resolution.styles import Piece, Styles, dumped
from spritebuild.resolution.trainings import Add, Sprited
from spritebuild.spritefile import Export, Sheet, Sprite, Spritefile
from spritebuild.spritefile.mistakes import alternatives, say
from spritebuild.spritefile.references import PATH_HINT, check_relative
from spritebuild.stage import Stage

SHEET, EXPORT, ART_CHECK = "sheet", "export", "art-check"
Install = Callable[[tuple[tuple[str, str], ...], Where], None]


@dataclass(frozen=True)
class Judges:
    """What sprites are judged by: limits, and the inputs that are palettes and references, declared at `where`."""

    limits: Mapping[str, Any]
    palettes: tuple[tuple[str, Ref], ...]
    references: tuple[tuple[str, Ref], ...]
    where: Where


@dataclass
class Assemblies:
    """The sheets, exports and checks of one spritefile, whose sprites are in the graph."""

    spritefile: Spritefile
    styles: Styles
    faults: Faults
    sprites: Mapping[str, Sprited]
    palettes: Mapping[str, Ref]  # those that are chosen from sprites
    add: Add
    install: Install
    modeled: Collection[str] = ()  # the sprites that a model made
    marked: set[str] = field(default_factory=set)  # the sheets whose pictures say that of any of theirs
    sheets: dict[str, Action] = field(default_factory=dict)
    apart: dict[tuple[str, str, object], str] = field(default_factory=dict)  # exports by what they may not share

    def all(self, *, checks: bool) -> None:
        """Add the actions of every sheet and export and, if asked for, of the checks."""
        for name, sheet in self.spritefile.sheets.items():
            self._sheet(name, sheet)
        for name in self.spritefile.exports:
            self._export(name)
        if checks and not self.faults.found:
            self._checks()

    def chosen(self, where: Where, patterns: Sequence[str]) -> dict[str, Sprited]:
        """The sprites that globs name; one that names none is a fault."""
        return {name: self.sprites[name] for name in matching(patterns, self.sprites, self.faults, where)}

    # Sheets

    def _sheet(self, name: str, sheet: Sheet) -> None:
        where = ("sheets", name)
        frames = self.chosen((*where, "sprites"), sheet.sprites)
        if not frames:
            return
        stage, own = self.styles.stages[SHEET], ("name", "names", "mark")
        known = [*Sheet.model_fields, *(key for key in stage.Params.model_fields if key not in own)]
        for key in own:
            if key in (sheet.model_extra or {}):
                self.faults.blame((*where, key), f"unknown key {say(key)}", f"keys: {', '.join(known)}")
        values = {**(sheet.model_extra or {}), "name": name, "names": list(frames)}
        piece = self.piece(stage, values, where, {"names": "sprites"}, known)
        if piece is None:
            return
        pictures = set(frames)
        inputs = [(f"frames.{n}", Output(sprite.action, "image")) for n, sprite in enumerate(frames.values())]
        for role, pattern in sheet.companions.items():
            for n, (frame, sprite) in enumerate(frames.items()):
                words = {**sprite.words, "name": frame}
                other = self.faults.filled(pattern, words, (*where, "companions", role))
                if other not in self.sprites:
                    hint = alternatives(other, self.sprites, "sprites")
                    self.faults.blame((*where, "companions", role), f"no sprite is called {say(other)}", hint)
                    return
                pictures.add(other)
                inputs.append((f"companions.{role}-{n}", Output(self.sprites[other].action, "image")))
        if not pictures.isdisjoint(self.modeled):
            self.marked.add(name)
            piece = marked(piece, self.spritefile)
        self.sheets[name] = self.add(dotted(where), piece, tuple(inputs), SHEET)
        self.install((("files", f"{folder_of(self.spritefile, sheet)}/{name}*"),), where)

    # Exports

    def _export(self, name: str) -> None:
        export, where = self.spritefile.exports[name], ("exports", name)
        names = matching(export.sheets, self.spritefile.sheets, self.faults, (*where, "sheets"), "sheet")
        if not names or any(sheet not in self.sheets for sheet in names):
            return
        stage = self.styles.stages[EXPORT]
        categories = [self.spritefile.sheets[sheet].category or "" for sheet in names]
        values = {
            "options": {**(export.model_extra or {}), "kind": export.kind},
            "categories": categories if any(categories) else [],
        }
        piece = self.piece(
            stage, values, where, {"categories": "sheets", "options": ""}, self._options(stage, export.kind)
        )
        if piece is None:
            return
        options = stage.Params.model_validate(values).options  # type: ignore[attr-defined]
        for key in options.apart:
            other = self.apart.setdefault((export.kind, key, getattr(options, key)), name)
            if other != name:
                message = f"exports.{name} and exports.{other} agree in {key}, {say(getattr(options, key))}"
                self.faults.blame(where, message, f"give each a {key} of its own")
        if not self.marked.isdisjoint(names):
            piece = marked(piece, self.spritefile)
        made = [self.sheets[sheet].id for sheet in names]
        layouts = tuple((f"layouts.{n}", Output(id, "layout")) for n, id in enumerate(made))
        pages = tuple((f"pages.{n}", Output(id, "files")) for n, id in enumerate(made))
        self.add(dotted(where), piece, (*layouts, *pages), EXPORT)
        self.install((("files", f"{export.path.rstrip('/')}/*"),), where)

    @staticmethod
    def _options(stage: Stage, kind: str) -> list[str]:
        """The keys that an export of a kind may have."""
        members = stage.Params.model_fields["options"].annotation
        for member in getattr(members, "__args__", ()):
            if kind in getattr(member.model_fields["kind"].annotation, "__args__", ()):
                return [*Export.model_fields, *(key for key in member.model_fields if key != "kind")]
        return [*Export.model_fields]

    # Checks

    def _checks(self) -> None:
        """One check for all the sprites that are judged by the same: those of a style, or of a sprite's own `art`."""
        groups: dict[Where, dict[str, Sprited]] = {}
        for name, sprite in self.sprites.items():
            said = sprite.look.where.get("art", ())
            style = self.spritefile.sprites[sprite.declared].style
            where = said[:2] if said[:1] == ("sprites",) else ("styles", style) if style else ("project",)
            groups.setdefault(where, {})[name] = sprite
        for where, sprites in groups.items():
            self._check(where, sprites)

    def _check(self, where: Where, sprites: Mapping[str, Sprited]) -> None:
        judges = self.judges(sprites.values(), where)
        place, limits = judges.where, judges.limits
        tiles = {name: sprite.look.values["tile"] for name, sprite in sprites.items() if "tile" in sprite.look.values}
        values: dict[str, Any] = {"names": list(sprites), "limits": limits, "tiles": tiles}
        stage = self.styles.stages[ART_CHECK]
        limited = stage.Params.model_fields["limits"].annotation
        known = ["references", *getattr(limited, "model_fields", ())]
        piece = self.piece(stage, values, place, {"limits": "", "names": "", "tiles": ""}, known)
        if piece is None:
            return
        images = [(f"images.{n}", Output(sprite.action, "image")) for n, sprite in enumerate(sprites.values())]
        self.add(f"checks.{dotted(where)}", piece, (*judges.palettes, *images, *judges.references), ART_CHECK)

    def judges(self, sprites: Collection[Sprited], where: Where) -> Judges:
        """What sprites of one `art` are judged by."""
        look = next(iter(sprites)).look
        said: dict[str, Any] = dict(look.values.get("art", {}))
        place = look.where.get("art", where)
        references = self.references(said.pop("references", []), (*place, "references"))
        colors, palettes = self.allowed(sprites) if "palette" not in said else ([], {})
        if isinstance(name := said.get("palette"), str):
            colors, palettes = self.palette(name, (*place, "palette"))
            del said["palette"]
        limits = {**said, **({"palette": colors} if colors else {})}
        named = tuple((f"references.{n}", source) for n, source in enumerate(references))
        return Judges(limits, tuple(palettes.items()), named, place)

    def allowed(self, sprites: Iterable[Sprited]) -> tuple[list[str], dict[str, Ref]]:
        """The colors and palette files of what sprites are quantized to; none if one may have other colors.

        Those are the last palette of its finishing list, and the colors of outlines after it.
        """
        colors: dict[str, None] = {}
        palettes: dict[str, Ref] = {}
        for sprite in sprites:
            entries = sprite.look.values.get("finish", ())
            last = max((n for n, entry in enumerate(entries) if "palette" in entry), default=None)
            if last is None or any("op" not in entry or entry.get("selective") for entry in entries[last:]):
                return [], {}
            name = entries[last].get("to", entries[last]["palette"])
            some, files = self.palette(self.faults.filled(name, sprite.words, sprite.look.where["finish"]), ())
            lines = [entry.get("color", "#000000") for entry in entries[last:] if entry["op"] == "outline"]
            colors |= dict.fromkeys([*some, *lines])
            palettes |= files
        return list(colors), palettes

    def palette(self, name: str, where: Where) -> tuple[list[str], dict[str, Ref]]:
        """A palette's colors, or the input that holds them."""
        declared = self.spritefile.palettes.get(name)
        if declared is None:
            hint = alternatives(name, self.spritefile.palettes, "palettes")
            self.faults.blame(where, f"unknown palette {say(name)}", hint, key=False)
            return [], {}
        if declared.colors is not None:
            return list(declared.colors), {}
        if declared.file is not None:
            return [], {f"palettes.{name}": self.styles.source(declared.file)}
        return [], {f"palettes.{name}": self.palettes[name]}

    def references(self, globs: object, where: Where) -> list[Source]:
        """The files that globs name, in the order of their paths; a glob that names none is a fault."""
        found: dict[str, Source] = {}
        if not isinstance(globs, list | tuple) or not all(isinstance(glob, str) for glob in globs):
            self.faults.blame(where, "references must be a list of globs", key=False)
            return []
        root = self.spritefile.root
        for number, glob in enumerate(globs):
            try:
                check_relative(glob)
            except ValueError as error:
                self.faults.blame((*where, number), f"{say(glob)} {error}", PATH_HINT, key=False)
                continue
            paths = sorted(path for path in root.glob(glob) if path.is_file())
            if not paths:
                self.faults.blame((*where, number), f"no file matches {say(glob)}", key=False)
            names = [path.relative_to(root).as_posix() for path in paths]
            found |= {name: self.styles.source(name) for name in names}
        return [found[name] for name in sorted(found)]

    # All of them

    def piece(
        self,
        stage: Stage,
        values: dict[str, Any],
        where: Where,
        keys: Mapping[str, str],
        known: Sequence[str] | None = None,
    ) -> Piece | None:
        """A stage with params; `keys` say where a param was declared whose key is called otherwise, or is no key."""

        def place(location: Sequence[str | int]) -> Where:
            # Between the keys, pydantic names the member of a union that it tried: a type, or the kind of an export.
            key, *rest = [part for part in location if not (isinstance(part, str) and "[" in part)] or ("",)
            renamed = keys.get(str(key), key)
            if key == "options":
                rest = rest[1:]
            return (*where, *((renamed,) if renamed else ()), *rest)

        origins = {key: dotted(place((key,))) for key in values}
        try:
            return Piece(stage, dumped(stage.Params.model_validate(values)), origins)
        except ValidationError as error:
            told: set[Where] = set()  # a union's members are all told of, at one place
            for problem in error.errors():
                if (at := place(problem["loc"])) not in told:
                    told.add(at)
                    self.faults.refused(at, problem, stage, values, known)
            return None


def matching(
    patterns: Sequence[str], names: Collection[str], faults: Faults, where: Where, what: str = "sprite"
) -> list[str]:
    """The names that globs match, each once; a glob that matches none is a fault."""
    found: dict[str, None] = {}
    for number, pattern in enumerate(patterns):
        some = fnmatch.filter(names, pattern)
        if not some and not faults.found:
            hint = alternatives(pattern, names, f"{what}s")
            faults.blame((*where, number), f"no {what} is called {say(pattern)}", hint, key=False)
        found |= dict.fromkeys(some)
    return list(found)


def marked(piece: Piece, spritefile: Spritefile) -> Piece:
    """A piece that writes into its pictures that a model made them, where the project and its stage have that."""
    if not spritefile.project.mark or "mark" not in piece.stage.Params.model_fields:
        return piece
    origins = {**piece.origins, "mark": "project.mark"}
    return replace(piece, params={**piece.params, "mark": True}, origins=origins)


def folder_of(spritefile: Spritefile, declared: Sprite | Sheet) -> str:
    """The folder that a sprite or sheet is put into."""
    assets = spritefile.project.assets
    return f"{assets}/{declared.category}" if declared.category else assets
