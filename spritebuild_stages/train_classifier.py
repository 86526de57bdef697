"""Train-classifier: a network that reads a label, such as what a sprite shows, learned from a dataset that says it.

It measures other trainings: whether generated sprites are read as what they should show, and how far their features
are from those of real ones.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from spritebuild.errors import UsageError
from spritebuild.stage import BoundAction, Context, Inputs, Notes, Outputs
from spritebuild_stages.training.loop import TrainingStage, TrainParams

if TYPE_CHECKING:
    import torch

    from spritebuild_stages._draws import Order
    from spritebuild_stages.datasets.artifact import Example
    from spritebuild_stages.evaluation.classifier_net import Classifier, Network
    from spritebuild_stages.training.loop import Training

CONFUSIONS = 20  # pairs of classes that the summary lists


class TrainClassifierParams(TrainParams):
    """What is learned, and how."""

    batch: int = Field(64, ge=1, le=4096, description="Pictures that are computed together.")
    learning_rate: float = Field(2e-3, gt=0, le=10, description="The learning rate at its highest; 1.0 for prodigy.")
    schedule: Literal["constant", "cosine", "linear"] = Field(
        "cosine", description="How the learning rate falls after the warmup: not at all, or to zero at the end."
    )
    weight_decay: float = Field(
        5e-2, ge=0, le=1, description="The share of the weights that decays a step, times rate."
    )
    precision: Literal["fp32", "bf16"] = Field(
        "fp32", description="The type that matrices are multiplied in; trained weights stay in fp32."
    )
    label: str = Field(min_length=1, max_length=64, description="The label of the dataset that is learned.")
    channels: tuple[Annotated[int, Field(ge=8, le=4096, multiple_of=8)], ...] = Field(
        (32, 64, 128),
        min_length=1,
        max_length=6,
        description="Channels of each level; the first has half a picture's sides, and each half of the one before.",
    )
    layers: int = Field(1, ge=1, le=16, description="Residual blocks of each level.")
    dropout: float = Field(0.2, ge=0, lt=1, description="The share of the features that is dropped in training.")
    label_smoothing: float = Field(0.1, ge=0, lt=1, description="The share of certainty that is not asked for.")
    flip: bool = Field(True, description="Mirror half of the pictures left to right; not for a label of directions.")
    shift: int = Field(2, ge=0, le=64, description="Pixels that pictures are moved by, at most, in every direction.")
    brightness: float = Field(
        0.1, ge=0, le=0.5, description="How much darker or lighter pictures become, at most; hues stay."
    )
    recolor: float = Field(
        0.0, ge=0, le=1, description="The share of pictures in colors that they do not have, so that shapes are read."
    )
    min_examples: int = Field(
        8,
        ge=1,
        description="Classes of fewer pictures to learn from are left out; a picture and its copies count once.",
    )
    held_out: float | None = Field(
        None,
        gt=0,
        le=0.5,
        description="The share of every class, one picture at least, that is held out of this training, a picture and "
        "its copies together; unless said, what the dataset holds out.",
    )


class TrainClassifierInputs(Inputs):
    """A dataset with labels, of which some pictures are held out."""

    images: Path
    manifest: Path


class TrainClassifierOutputs(Outputs):
    """The classifier, what it reads of held-out pictures, and the log."""

    classifier: Path = Path("classifier.safetensors")
    summary: Path = Path("summary.json")
    log: Path = Path("log.jsonl")


class TrainClassifier(TrainingStage):
    """A few minutes on a CPU for some thousand sprites."""

    version = 2
    Params = TrainClassifierParams
    Inputs = TrainClassifierInputs
    Outputs = TrainClassifierOutputs

    def train(self, action: BoundAction, context: Context) -> Notes:
        """Learn from all classes alike, then read what was held out."""
        from spritebuild_stages import _torch
        from spritebuild_stages._draws import hashed
        from spritebuild_stages.datasets import artifact
        from spritebuild_stages.training.loop import Training, total_steps, write_log

        params: TrainClassifierParams = action.params
        dataset = artifact.read(action.inputs.images, action.inputs.manifest)
        sorted_out = _sorted_out(dataset.examples, params)
        order = _order(sorted_out, params)
        steps = total_steps(params, order.batches_per_epoch)
        torch = _torch.start(context.threads)
        from spritebuild_stages.evaluation.classifier_net import Network, save

        device = _torch.device(torch)
        torch.manual_seed(hashed(params.seed, "classifier"))
        network = Network(params.channels, params.layers, len(sorted_out.classes), params.dropout).to(device)
        parameters = dict(network.named_parameters())
        training = Training(params, steps, device, parameters, action.kept, action.watched, context.say)
        with _torch.memory_errors(device, params.batch):
            log = training.run(_Losses(params, sorted_out, order, network, training))
            digest = hashlib.sha256(action.inputs.manifest.read_bytes()).hexdigest()
            classifier, figures = _measured(params, sorted_out, network, digest, device)
        save(action.outputs.classifier, classifier)
        write_log(action.outputs.log, log)
        summary = {
            **figures,
            "left_out": dict(sorted_out.left_out),
            "unlabeled": sorted_out.unlabeled,
            "steps": steps,
            "dataset": digest,
            "trained_parameters": sum(parameter.numel() for parameter in parameters.values()),
            "params": params.model_dump(mode="json"),
        }
        action.outputs.summary.write_text(artifact.canonical(summary), encoding="utf-8", newline="\n")
        told = {name: figures[name] for name in ("accuracy", "balanced_accuracy", "chance")}
        return {"device": device, "steps": steps, **told, "warnings": _warnings(sorted_out, params)}


@dataclass(frozen=True)
class _SortedOut:
    """The pictures of classes that can be learned; `left_out` counts the pictures of those that are too small."""

    classes: tuple[str, ...]
    learned: Sequence[Example]
    held_out: Sequence[Example]
    left_out: Mapping[str, int]
    unlabeled: int


def _sorted_out(examples: Sequence[Example], params: TrainClassifierParams) -> _SortedOut:
    """Raises UsageError where there is nothing to tell apart, or nothing to measure by."""
    from spritebuild_stages.datasets import artifact

    labeled = [example for example in examples if example.labels.get(params.label)]
    known = sorted({name for example in examples for name in example.labels})
    if not labeled:
        raise UsageError(
            f"no picture of the dataset has the label {params.label!r}",
            facts=[("its labels", ", ".join(known) or "none")],
            hint="name one of them, or add it to the labels of the dataset",
        )
    originals = artifact.originals(examples)
    held = _held_out(labeled, originals, params)
    counts = Counter(
        label
        for label, _ in {(one.labels[params.label], originals[one.name]) for one in labeled if one.name not in held}
    )
    classes = sorted(name for name, count in counts.items() if count >= params.min_examples)
    every = {example.labels[params.label] for example in labeled}
    left_out = {name: counts[name] for name in sorted(every.difference(classes))}
    if len(classes) < 2:
        facts = [(name, f"{count} pictures") for name, count in counts.most_common(5)]
        hint = "a classifier tells two classes apart, or more: add pictures, or set a smaller min_examples"
        told = f"{len(classes)} of {len(every)} classes has {params.min_examples} pictures to learn from"
        raise UsageError(told, facts=facts, hint=hint)
    usable = [example for example in labeled if example.labels[params.label] in classes]
    learned, held_out = ([e for e in usable if (e.name in held) is apart] for apart in (False, True))
    if not held_out:
        raise UsageError(
            "no picture of a class to be learned is held out: nobody would know how well the classifier reads",
            hint="set held_out, here or in the dataset, such as 0.15",
        )
    return _SortedOut(tuple(classes), learned, held_out, left_out, len(examples) - len(labeled))


def _held_out(labeled: Sequence[Example], originals: Mapping[str, str], params: TrainClassifierParams) -> set[str]:
    """The names of the pictures that are not learned from."""
    from spritebuild_stages._draws import chance

    if params.held_out is None:
        return {example.name for example in labeled if example.held_out}
    classes: dict[str, set[str]] = defaultdict(set)
    for example in labeled:
        classes[example.labels[params.label]].add(originals[example.name])
    chosen: set[str] = set()
    for names in classes.values():
        drawn = sorted(names, key=lambda name: chance(name, "held out of its class"))
        chosen |= set(drawn[: max(1, round(params.held_out * len(drawn)))])
    return {example.name for example in labeled if originals[example.name] in chosen}


def _order(sorted_out: _SortedOut, params: TrainClassifierParams) -> Order:
    """Batches in which every class is as frequent as any other; within a class, pictures go by their weights."""
    from spritebuild_stages._draws import Order

    learned = sorted_out.learned
    visits: dict[str, float] = defaultdict(float)
    for example in learned:
        visits[example.labels[params.label]] += example.weight * example.repeats
    share = sum(visits.values()) / len(visits)
    weights = [example.weight * share / visits[example.labels[params.label]] for example in learned]
    sizes = [example.pixels.shape[:2] for example in learned]
    return Order(sizes, params.batch, params.seed, [example.repeats for example in learned], weights)


class _Losses:
    """The loss of one batch, by its place in the training."""

    def __init__(
        self,
        params: TrainClassifierParams,
        sorted_out: _SortedOut,
        order: Order,
        network: Network,
        training: Training,
    ) -> None:
        self._params, self._examples, self._order = params, sorted_out.learned, order
        self._network, self._training = network.train(), training
        self._place = {name: place for place, name in enumerate(sorted_out.classes)}

    def __call__(self, step: int, micro: int) -> dict[str, torch.Tensor]:
        import torch

        from spritebuild_stages.evaluation.classifier_net import values
        from spritebuild_stages.training.augmentation import augmented

        params, device = self._params, self._training.device
        number = step * params.accumulation + micro
        examples = [self._examples[index] for index in self._order.batch(number)]
        pictures = augmented(
            values([example.pixels for example in examples], device),
            (params.seed, number),
            flip=params.flip,
            shift=params.shift,
            brightness=params.brightness,
            recolor=params.recolor,
        )
        wanted = torch.tensor([self._place[example.labels[params.label]] for example in examples], device=device)
        with self._training.autocast():
            logits = self._network(pictures).float()
        loss = torch.nn.functional.cross_entropy(logits, wanted, label_smoothing=params.label_smoothing)
        return {"loss": loss, "accuracy": (logits.argmax(dim=1) == wanted).float().mean()}


def _measured(
    params: TrainClassifierParams, sorted_out: _SortedOut, network: Network, digest: str, device: str
) -> tuple[Classifier, dict[str, Any]]:
    """The classifier with what it reads of held-out pictures, and the figures for people.

    `accuracy` is the share of held-out pictures that are read as their label, `balanced_accuracy` the mean of that of
    each class, `chance` the accuracy of always naming the most frequent class of the held-out pictures. All in 0..1.
    """
    from dataclasses import replace

    from spritebuild_stages.evaluation.classifier_net import About, Classifier

    shape = (params.label, sorted_out.classes, params.channels, params.layers)
    classifier = Classifier(About(*shape, 0.0, 0.0, {}, digest), network, device)
    wanted = [example.labels[params.label] for example in sorted_out.held_out]
    found = classifier.named(classifier.read([example.pixels for example in sorted_out.held_out])[1])
    seen = Counter(wanted)
    right = Counter(name for name, other in zip(wanted, found, strict=True) if name == other)
    wrong = Counter((name, other) for name, other in zip(wanted, found, strict=True) if name != other)
    by_class = {name: round(right[name] / seen[name], 4) for name in sorted_out.classes if seen[name]}
    accuracy = round(right.total() / seen.total(), 4)
    balanced = round(sum(right[name] / seen[name] for name in by_class) / len(by_class), 4)
    learned = Counter(example.labels[params.label] for example in sorted_out.learned)
    confusions = sorted(wrong.items(), key=lambda item: (-item[1], item[0]))[:CONFUSIONS]
    figures = {
        "label": params.label,
        "accuracy": accuracy,
        "balanced_accuracy": balanced,
        "chance": round(max(seen.values()) / seen.total(), 4),
        "classes": {
            name: {"learned": learned[name], "held_out": seen[name], "accuracy": by_class.get(name)}
            for name in sorted_out.classes
        },
        "confusions": [{"label": pair[0], "read_as": pair[1], "count": count} for pair, count in confusions],
        "pictures": {"learned": len(sorted_out.learned), "held_out": len(sorted_out.held_out)},
    }
    about = replace(classifier.about, accuracy=accuracy, balanced=balanced, by_class=by_class)
    return replace(classifier, about=about), figures


def _warnings(sorted_out: _SortedOut, params: TrainClassifierParams) -> list[str]:
    warnings = []
    if sorted_out.left_out:
        names = ", ".join(f"{name} ({count})" for name, count in sorted_out.left_out.items())
        warnings.append(f"classes of fewer than {params.min_examples} pictures are not learned: {names}")
    held = {example.labels[params.label] for example in sorted_out.held_out}
    if unmeasured := [name for name in sorted_out.classes if name not in held]:
        warnings.append(f"classes without a picture that is held out: {', '.join(unmeasured)}")
    return warnings
