"""Datasets: picture files and what is said of them to one training set, with a sheet to look at; the same everywhere.

The pictures are in the order of their paths, composed ones last; nothing depends on the order in which files are given.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from spritebuild.errors import UsageError
from spritebuild.stage import BoundAction, Context, Inputs, Notes, Outputs, Stage
from spritebuild_stages._draws import chance
from spritebuild_stages.datasets import captioning
from spritebuild_stages.datasets.files import Found, counted, gather, shown, unread
from spritebuild_stages.datasets.params import Compose, DatasetParams

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from spritebuild_stages.datasets import artifact
    from spritebuild_stages.datasets.loading import Picture

DROPPED, DUPLICATE = "dropped by a rule", "looks like another one"


class DatasetInputs(Inputs):
    """Either files by their path within the set, pictures and texts together, or a folder of them."""

    files: dict[str, Path] = Field(default_factory=dict)
    source: Path | None = None
    corrections: Path | None = Field(None, description="TOML or JSON: captions by picture, which win over all others.")


class DatasetOutputs(Outputs):
    """The set itself, and a sheet and figures for those who look at it."""

    images: Path = Path("images.safetensors")
    manifest: Path = Path("manifest.json")
    report: Path = Path("report.png")
    summary: Path = Path("summary.json")


class Dataset(Stage):
    """Refuses what is likely a mistake before it decodes a picture: a set is trained on for hours."""

    version = 2
    Params = DatasetParams
    Inputs = DatasetInputs
    Outputs = DatasetOutputs

    def run(self, action: BoundAction, context: Context) -> Notes:
        from spritebuild_stages.datasets import artifact, contact_sheet, figures
        from spritebuild_stages.images import png

        params: DatasetParams = action.params
        found = gather(action.inputs.files, action.inputs.source, params)
        making = _Making(params)
        making.pictures(found, action.inputs.corrections)
        composed = making.dolls(found, params.compose) if params.compose else 0
        dataset, origins = making.finished(), [entry.picture.origin for entry in making.entries]
        skipped = sorted(making.skipped, key=lambda skip: skip.name)
        warnings = [
            *_left_out(found, skipped, params),
            *figures.lint(dataset, origins, params.labels, params.held_out),
        ]
        outputs = action.outputs
        artifact.write(outputs.images, outputs.manifest, dataset, origins=origins, skipped=skipped)
        summary = figures.summary(dataset, origins, skipped, composed, warnings)
        outputs.summary.write_text(artifact.canonical(summary), encoding="utf-8", newline="\n")
        png.write(outputs.report, contact_sheet.contact_sheet(dataset, _title(summary)))
        return {"pictures": len(dataset.examples), "skipped": len(skipped), "warnings": warnings}


@dataclass(frozen=True)
class _Entry:
    """A picture on its canvas, and what is said of it."""

    picture: Picture
    captions: tuple[str, ...]
    slots: Mapping[str, str]
    weight: float
    of: str  # the name of the picture that it is a copy of, or its own
    part: float  # of a picture and its copies, in how often they are drawn


@dataclass
class _Making:
    """A set in the making."""

    params: DatasetParams
    entries: list[_Entry] = field(default_factory=list)
    skipped: list[artifact.Skipped] = field(default_factory=list)

    def pictures(self, found: Found, corrections: Path | None) -> None:
        """Add the pictures that are files."""
        from spritebuild_stages.datasets import loading

        params = self.params
        readings = {name: captioning.read_path(name, params.rules, params.words) for name in found.pictures}
        kept = {name: path for name, path in found.pictures.items() if readings[name].dropped is None}
        for name in found.pictures.keys() - kept.keys():
            self._skip(name, DROPPED, readings[name].dropped or "")
        sidecars = params.captions == "sidecar"
        given = captioning.given(found, kept, corrections, sidecars=sidecars)
        decoded = {name: rgba for name, rgba in loading.decoded(kept) if self._fits(name, rgba)}
        if params.unique is not None:
            for name, other in list(loading.alike(decoded.items(), params.unique)):
                self._skip(name, DUPLICATE, other)
                del decoded[name]
        unsaid = []
        for name, rgba in decoded.items():
            slots = self._measured(readings[name].slots, rgba, () if sidecars else params.templates)
            captions = given.get(name) or captioning.filled(params.templates, slots)
            unsaid += [name] * (not captions)
            copies = [] if name in given else list(self._copies(rgba, readings[name]))
            weight = readings[name].weight
            self._add(name, rgba, captions, slots, weight, part=0.5 if copies else 1.0)
            for what, copy, said, told in copies:
                self._add(f"{name}@{what}", copy, said, told, weight, of=name, part=0.5 / len(copies))
        if unsaid:
            hint = "add a template whose slots they all have, or rules that set these slots"
            facts = shown(unsaid, "picture")
            raise UsageError(
                f"no template fits {counted(len(unsaid), 'picture')}: a slot is empty",
                facts=facts,
                hint=hint,
            )

    def _copies(
        self, rgba: NDArray[np.uint8], reading: captioning.Reading
    ) -> Iterator[tuple[str, NDArray[np.uint8], tuple[str, ...], Mapping[str, str]]]:
        """Names, pixels, captions and slots of the picture in other colors, by which each of them is called.

        A copy is held out if the picture is: it would tell what that looks like.
        """
        from spritebuild_stages.datasets.colors import NAMED, color_word
        from spritebuild_stages.datasets.loading import dyed, turned

        colored = [template for template in self.params.templates if "color" in captioning.slots_of([template])]
        others = [(f"{hue:g}", turned(rgba, hue)) for hue in reading.hues]
        others += [(dye, dyed(rgba, NAMED[dye][0])) for dye in reading.dyes]
        own = color_word(rgba) if others else ""
        for what, copy in others:
            if (color := color_word(copy)) != own:
                slots = {**reading.slots, "color": color}
                if captions := captioning.without(captioning.filled(colored, slots), self.params.withheld):
                    yield what, copy, captions, slots

    def dolls(self, found: Found, told: Compose) -> int:
        """Add the composed pictures; how many."""
        from spritebuild_stages.datasets import compose, loading

        params, before = self.params, len(self.entries)
        files = {name: path for layer in found.layers.values() for name, path in layer.items()}
        readings = {name: captioning.read_path(name, params.rules, params.words) for name in sorted(files)}
        kept = {name: files[name] for name, reading in readings.items() if reading.dropped is None}
        for name in readings.keys() - kept.keys():
            self._skip(name, DROPPED, readings[name].dropped or "")
        pieces = {name: compose.Piece(name, rgba, readings[name]) for name, rgba in loading.decoded(kept)}
        layers = {layer: [pieces[name] for name in names if name in pieces] for layer, names in found.layers.items()}
        for layer, usable in layers.items():
            if not usable:
                raise UsageError(f"layer {layer} has no file: rules drop them all", hint="correct its `files`, a glob")
        for doll in compose.composed(told, layers):
            if not self._fits(doll.name, doll.pixels):
                continue
            slots = self._measured(doll.slots, doll.pixels, told.templates)
            captions = captioning.filled(told.templates, slots)
            if not captions:
                there = ", ".join(f"{slot} = {text!r}" for slot, text in sorted(slots.items()) if text)
                raise UsageError(
                    f"no template fits {doll.name}: a slot is empty",
                    facts=[("slots", there or "none")],
                    hint="add a template with slots that every composed picture has",
                )
            self._add(doll.name, doll.pixels, captions, slots, told.weight)
        return len(self.entries) - before

    def finished(self) -> artifact.Dataset:
        """The set. Raises UsageError if it is not of the size that it should be."""
        from spritebuild_stages.datasets import artifact

        params, count = self.params, len(self.entries)
        there = counted(count, "picture")
        facts = sorted(Counter(skip.reason for skip in self.skipped).items())
        if params.expect is not None and count != params.expect:
            raise UsageError(f"{there}, not the {params.expect} of `expect`", facts=facts)
        if count < params.min_images:
            hint = f"{params.min_images} are the fewest to train on: add pictures, or set min_images"
            raise UsageError(f"a training set of {there}", facts=facts, hint=hint)
        examples = []
        for entry, weight in zip(self.entries, self._balanced(), strict=True):
            name, pixels = entry.picture.name, entry.picture.pixels
            kept = captioning.without(entry.captions, params.withheld)
            said = dict.fromkeys(captioning.with_triggers(text, params.triggers) for text in kept or entry.captions)
            labels = {label: entry.slots[label] for label in params.labels if entry.slots.get(label)}
            held_out = not kept or chance(entry.of, "held out") < params.held_out
            examples.append(artifact.Example(name, tuple(said), pixels, params.repeats, weight, held_out, labels))
        _check_triggers(examples, params.triggers)
        if all(example.held_out for example in examples):
            raise UsageError("every picture is held out: none is left to train on", hint="set a smaller held_out")
        return artifact.Dataset(tuple(examples), params.triggers)

    def _add(
        self,
        name: str,
        rgba: NDArray[np.uint8],
        captions: tuple[str, ...],
        slots: Mapping[str, str],
        weight: float,
        of: str | None = None,
        part: float = 1.0,
    ) -> None:
        from spritebuild_stages.datasets.loading import placed

        self.entries.append(_Entry(placed(name, rgba, self.params.size), captions, slots, weight, of or name, part))

    def _skip(self, name: str, reason: str, detail: str) -> None:
        from spritebuild_stages.datasets.artifact import Skipped

        self.skipped.append(Skipped(name, reason, detail))

    def _fits(self, name: str, rgba: NDArray[np.uint8]) -> bool:
        from spritebuild_stages.datasets.loading import unfit

        why = unfit(rgba, self.params)
        if why is not None:
            self._skip(name, *why)
        return why is None

    def _measured(
        self, slots: Mapping[str, str], rgba: NDArray[np.uint8], templates: Sequence[str]
    ) -> Mapping[str, str]:
        """The slots with the color, where somebody asks for it and no rule sets it."""
        from spritebuild_stages.datasets.colors import color_word

        asked = {*captioning.slots_of(templates), *self.params.labels, self.params.balance}
        return {**slots, "color": color_word(rgba)} if "color" in asked and "color" not in slots else slots

    def _balanced(self) -> list[float]:
        """The weights, shared among the pictures of one value of `balance`; without rules they are 1 on average."""
        slot, weights = self.params.balance, [entry.weight * entry.part for entry in self.entries]
        if slot is None:
            return weights
        values = [entry.slots.get(slot, "") for entry in self.entries]
        lacking = [entry.picture.name for entry, value in zip(self.entries, values, strict=True) if not value]
        if lacking:
            raise UsageError(
                f"no {slot} to balance by in {counted(len(lacking), 'picture')}",
                facts=shown(lacking, "picture"),
                hint=f"add rules that set {slot} for every picture",
            )
        counts: dict[str, float] = {}
        for entry, value in zip(self.entries, values, strict=True):
            counts[value] = counts.get(value, 0.0) + entry.part
        if unknown := sorted(self.params.shares.keys() - counts.keys()):
            there = ", ".join(sorted(counts))
            raise UsageError(f"no picture whose {slot} is {unknown[0]!r}, which has a share", facts=[(slot, there)])
        shares = [self.params.shares.get(value, 1.0) for value in values]
        equal = sum(counts.values()) / len(counts)
        return [
            weight * share * equal / counts[value] for weight, share, value in zip(weights, shares, values, strict=True)
        ]


def _check_triggers(examples: Sequence[artifact.Example], triggers: Sequence[str]) -> None:
    for example in examples:
        for caption in example.captions:
            for trigger in triggers:
                if not captioning.contains(caption, trigger):
                    raise UsageError(f"{trigger!r} is not in the caption {caption!r}", hint="choose a plain word")


def _left_out(found: Found, skipped: Sequence[artifact.Skipped], params: DatasetParams) -> list[str]:
    """Warnings about files that are no part of the set, though nobody said so."""
    counts = Counter(skip.reason for skip in skipped if skip.reason != DROPPED)
    warnings = [f"{counted(count, 'picture')} left out: {reason}" for reason, count in sorted(counts.items())]
    if others := unread(found):
        pictures = counted(len(others), "picture")
        warnings.append(f"{pictures} left out: the format is not read, such as that of {others[0]}")
    if params.captions == "auto" and found.texts:
        warnings.append(f'{counted(len(found.texts), "text")} not read: captions = "auto"')
    return warnings


def _title(summary: Mapping[str, Mapping[str, int]]) -> str:
    pictures = summary["pictures"]
    parts = [counted(pictures["all"], "picture")]
    counts = {
        "composed": pictures["composed"],
        "held out (framed)": pictures["held_out"],
        "left out": sum(summary["skipped"].values()),
    }
    return ", ".join(parts + [f"{count} {what}" for what, count in counts.items() if count])
