"""What is trained or unpacked here, as actions: datasets, autoencoders, models, loras; where each is to be had.

A model or lora that is not trained here is a pin; a model whose pin is one file (a checkpoint) is unpacked. What is
declared and needed by nobody is in the graph all the same: it is built when it is asked for by name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from pydantic import ValidationError

from spritebuild import digest
from spritebuild.graph import Action, Output, Ref, Source
from spritebuild.pinned.pins import PICKLES, Pin
from spritebuild.pinned.sources import hidden
from spritebuild.resolution.faults import Faults, Where, dotted
from spritebuild.resolution.styles import Look, Piece, dumped
from spritebuild.spritefile import Spritefile, inside
from spritebuild.spritefile.references import PATH_HINT
from spritebuild.stage import Stages

DATASET, TRAIN_VAE, TRAIN_DIFFUSION = "dataset", "train-vae", "train-diffusion"
TRAIN_LORA, LORA_CARD = "train-lora", "lora-card"
TRAIN_CLASSIFIER, EVALUATE = "train-classifier", "evaluate"
UNPACK_CHECKPOINT = "unpack-checkpoint"
TABLES = ("datasets", "vaes", "classifiers", "models", "loras")


@dataclass(frozen=True)
class Sprited:
    """A sprite as others use it: the action that finishes it, the words of its matrix, its declaration and look."""

    action: str
    words: Mapping[str, str]
    declared: str
    look: Look


class Add(Protocol):
    """Adds an action to the graph."""

    def __call__(self, target: str, piece: Piece, inputs: tuple[tuple[str, Ref], ...], suffix: str) -> Action: ...


@dataclass
class Trainings:
    """The trainings of one spritefile; each is added once, before whoever needs it."""

    spritefile: Spritefile
    stages: Stages
    pins: Mapping[str, Pin]
    files: digest.Files
    faults: Faults
    add: Add
    added: dict[str, Action | None] = field(default_factory=dict)

    def artifact(self, table: str, name: str) -> Ref | None:
        """Where the weights of a model, lora or autoencoder come from; None, with faults, where it is refused."""
        declared = getattr(self.spritefile, table)[name]
        if not _is_made(declared):
            return self._pinned(table, name)
        action = self.action(table, name)
        return None if action is None else Output(action.id, action.outputs[0][0])

    def action(self, table: str, name: str) -> Action | None:
        """The action that makes a dataset, trains something or unpacks a checkpoint."""
        target = f"{table}.{name}"
        if target not in self.added:
            make = {
                "datasets": self._dataset,
                "vaes": self._vae,
                "classifiers": self._classifier,
                "models": self._model,
                "loras": self._lora,
            }
            self.added[target] = make[table](name)
        return self.added[target]

    def all(self) -> None:
        """Add whatever has not been needed so far."""
        for table in TABLES:
            for name, declared in getattr(self.spritefile, table).items():
                if table == "datasets" or _is_made(declared):
                    self.action(table, name)

    def evaluation(self, name: str, sprites: Mapping[str, Sprited], baseline: Mapping[str, Sprited]) -> None:
        """Add the measurement of some sprites."""
        said = self.spritefile.evaluations[name]
        where = ("evaluations", name)
        params: dict[str, Any] = {**(said.model_extra or {}), "names": list(sprites)}
        for key, axis in (("labels", said.label), ("colors", said.color)):
            if axis is not None:
                params[key] = [sprite.words.get(axis, "") for sprite in sprites.values()]
                if not any(params[key]):
                    self.faults.blame((*where, key[:-1]), f"no sprite has an axis {axis!r}", key=False)
        inputs = list(self._data(said.dataset))
        if said.classifier is not None:
            action = self.action("classifiers", said.classifier)
            inputs.append(("classifier", None if action is None else Output(action.id, "classifier")))
        for key, found in (("generated", sprites), ("baseline", baseline)):
            inputs += [(f"{key}.{n}", Output(sprite.action, "image")) for n, sprite in enumerate(found.values())]
        known = tuple((key, ref) for key, ref in inputs if ref is not None)
        if len(known) == len(inputs):
            origins = {key: dotted((*where, key)) for key in params}
            origins |= {"names": dotted((*where, "sprites"))}
            self._added(where, EVALUATE, params, origins, known, where)

    def _classifier(self, name: str) -> Action | None:
        classifier = self.spritefile.classifiers[name]
        return self._training(
            ("classifiers", name), TRAIN_CLASSIFIER, list(self._data(classifier.dataset)), classifier.train
        )

    def _vae(self, name: str) -> Action | None:
        vae = self.spritefile.vaes[name]
        inputs = [*self._data(vae.dataset), *self._models(init=vae.init, features=vae.features)]
        return self._training(("vaes", name), TRAIN_VAE, inputs, vae.train)

    def _model(self, name: str) -> Action | None:
        model = self.spritefile.models[name]
        if model.config is not None:
            return self._unpacked(name, model.config)
        assert model.dataset is not None
        assert model.vae is not None
        inputs = [*self._data(model.dataset), ("vae", self.artifact("vaes", model.vae))]
        inputs += self._models(text=model.text, init=model.init)
        return self._training(("models", name), TRAIN_DIFFUSION, inputs, model.train)

    def _unpacked(self, name: str, config: str) -> Action | None:
        where = ("models", name)
        found = dict(self._files((*where, "config"), config, {"include": ("**/*",)}))
        if "model_index.json" not in found:
            hint = "copy the folder of a model of the same kind, as diffusers writes it, without its weights"
            self.faults.blame((*where, "config"), f"{config} has no model_index.json", hint)
            return None
        inputs = [("checkpoint", self._pinned(*where))]
        inputs += [(f"config.{path}", Source(f"{config}/{path}", at)) for path, at in found.items() if _is_config(path)]
        return self._added(where, UNPACK_CHECKPOINT, {}, {}, tuple(inputs), where)

    def _lora(self, name: str) -> Action | None:
        lora = self.spritefile.loras[name]
        assert lora.dataset is not None
        inputs = [*self._data(lora.dataset), *self._models(model=lora.model)]
        learned = self.spritefile.triggers(name)
        for number, word in enumerate(lora.triggers):
            if word not in learned:
                hint = f"add it to the triggers of datasets.{lora.dataset}: it stands in no caption otherwise"
                self.faults.blame(("loras", name, "triggers", number), f"{word!r} is never learned", hint, key=False)
        action = self._training(("loras", name), TRAIN_LORA, inputs, lora.train)
        if action is not None:
            self._card(name, action)
        return action

    def _card(self, name: str, training: Action) -> None:
        """Add what people should know of a lora: an action of its own, so that words are edited without training."""
        lora = self.spritefile.loras[name]
        base, data = self.spritefile.models[lora.model or ""], self.spritefile.datasets[lora.dataset or ""]
        weights = self.artifact("models", lora.model or "")
        params = {
            "name": name,
            "release": lora.version,
            "description": lora.description,
            "base": lora.model,
            "base_digest": weights.digest if isinstance(weights, Source) else None,
            "strength": lora.strength,
            "licences": tuple(sorted({licence for licence in (lora.licence, base.licence, data.licence) if licence})),
        }
        said = {key: value for key, value in params.items() if value not in (None, ())}
        origins = dict.fromkeys(said, f"loras.{name}")
        inputs = (("lora", Output(training.id, "lora")),)
        self._added(("loras", name), LORA_CARD, said, origins, inputs, ("loras", name))

    def _pinned(self, table: str, name: str) -> Source:
        pin = f"{table}.{name}"
        return Source(pin, self.pins[pin].digest)

    def _data(self, dataset: str) -> Iterator[tuple[str, Ref | None]]:
        action = self.action("datasets", dataset)
        for output in ("images", "manifest"):
            yield output, None if action is None else Output(action.id, output)

    def _models(self, **named: str | None) -> Iterator[tuple[str, Ref | None]]:
        return ((key, self.artifact("models", model)) for key, model in named.items() if model is not None)

    def _training(
        self, where: Where, kind: str, inputs: list[tuple[str, Ref | None]], params: Mapping[str, Any] | None
    ) -> Action | None:
        said = dict(params or {})
        origins = {key: dotted((*where, "train", key)) for key in said}
        found = tuple((name, ref) for name, ref in inputs if ref is not None)
        if len(found) < len(inputs):
            return None  # with a fault of what it needs
        return self._added(where, kind, said, origins, found, (*where, "train"))

    def _dataset(self, name: str) -> Action | None:
        dataset = self.spritefile.datasets[name]
        where = ("datasets", name)
        params = dict(dataset.model_extra or {})
        inputs: list[tuple[str, Ref]] = []
        if dataset.path is not None:
            chosen = {"include": dataset.include, "exclude": dataset.exclude}
            found = dict(self._files(where, dataset.path, chosen))
            if not found:
                self.faults.blame((*where, "path"), f"no file in {dataset.path} is taken", "see include and exclude")
            inputs += [(f"files.{path}", Source(f"{dataset.path}/{path}", at)) for path, at in found.items()]
        else:
            inputs.append(("source", self._pinned("datasets", name)))
            params |= {"include": dataset.include, "exclude": dataset.exclude}
        if dataset.corrections is not None:
            content = self.files.of(self.spritefile.root / dataset.corrections)
            inputs.append(("corrections", Source(dataset.corrections, content)))
        origins = {key: dotted((*where, key)) for key in params}
        return self._added(where, DATASET, params, origins, tuple(inputs), where)

    def _files(self, where: Where, place: str, globs: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, str]]:
        """The files of a folder that are taken (`include`, `exclude`), with their digests, by path in it."""
        folder = self.spritefile.root / place
        taken: set[Path] = set()
        for key, chosen in (("include", taken.update), ("exclude", taken.difference_update)):
            for number, pattern in enumerate(globs.get(key, ())):
                try:
                    chosen(folder.glob(pattern))
                except (ValueError, NotImplementedError):
                    self.faults.blame((*where, key, number), f"{pattern!r} is not a glob", key=False)
        for path in sorted(taken):
            relative = path.relative_to(folder).as_posix()
            if path.is_symlink():
                try:
                    inside(self.spritefile.root, f"{place}/{relative}")
                except ValueError as error:
                    self.faults.blame((*where, "path"), f"{relative} {error}", PATH_HINT, key=False)
                    continue
            if path.is_file():
                yield relative, self.files.of(path)

    def _added(
        self,
        where: Where,
        kind: str,
        params: Mapping[str, Any],
        origins: Mapping[str, str],
        inputs: tuple[tuple[str, Ref], ...],
        said_at: Where,
    ) -> Action | None:
        stage = self.stages[kind]
        try:
            named = dumped(stage.Params.model_validate(params))
        except ValidationError as error:
            for problem in error.errors():
                self.faults.refused((*said_at, *problem["loc"]), problem, stage, params)
            return None
        return self.add(dotted(where), Piece(stage, named, origins), inputs, stage.kind)


def _is_made(declared: Any) -> bool:
    """Whether an artifact is made by an action; if not, it is what its pin says."""
    return declared.dataset is not None or getattr(declared, "config", None) is not None


def _is_config(path: str) -> bool:
    """Whether a file of a model's folder says what the model is: it is neither hidden nor weights."""
    return not hidden(path) and Path(path).suffix.lower() not in (".safetensors", *PICKLES)
