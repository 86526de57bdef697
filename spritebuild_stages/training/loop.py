"""The loop that every training shares: steps, the log, and how it goes on after a kill.

Draws depend on their place alone (see draws.py), so with the weights, the optimizer's state and the averages in a
checkpoint, a resumed run computes the bits of one that was never stopped. There are no data-loader workers: what they
would prepare is prepared once, before the first step.

Imports torch when called.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from spritebuild.errors import MachineError, StageError, UsageError
from spritebuild.stage import BoundAction, Context, Notes, Params
from spritebuild_stages._draws import hashed
from spritebuild_stages._torch import TorchStage
from spritebuild_stages.training import parallel

if TYPE_CHECKING:
    import torch

SAVE_SECONDS = 30.0  # of training that a kill may cost; more where saving is slow
SAVE_SHARE = 20  # at least this many times as long between two checkpoints as one takes
SAY_SECONDS = 5.0
CHECKPOINT = "checkpoint.safetensors"
LOG = "log.jsonl"


class SamplePrompt(BaseModel):
    """A picture that is made while the training goes on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    prompt: str = Field(max_length=10_000, description="What the picture shows.")
    seed: int = Field(0, ge=0, lt=2**63, description="The seed of the picture's noise.")


class TrainParams(Params):
    """What every training is told. `steps` and `epochs` count steps of the optimizer and visits of the whole set."""

    seed: int = Field(0, ge=0, lt=2**63, description="The seed of every random draw of the training.")
    steps: int | None = Field(None, ge=1, le=100_000_000, description="Steps of the optimizer; or say epochs.")
    epochs: int | None = Field(None, ge=1, le=1_000_000, description="Visits of the whole dataset; or say steps.")
    batch: int = Field(4, ge=1, le=4096, description="Pictures that are computed together.")
    accumulation: int = Field(1, ge=1, le=4096, description="Batches whose gradients make one step of the optimizer.")
    learning_rate: float = Field(1e-4, gt=0, le=10, description="The learning rate at its highest; 1.0 for prodigy.")
    schedule: Literal["constant", "cosine", "linear"] = Field(
        "constant", description="How the learning rate falls after the warmup: not at all, or to zero at the end."
    )
    warmup: int = Field(0, ge=0, description="Steps in which the learning rate rises to its highest.")
    optimizer: Literal["adamw", "adamw8bit", "prodigy"] = Field(
        "adamw", description="adamw8bit needs the package bitsandbytes, prodigy the package prodigyopt."
    )
    betas: tuple[float, float] = Field((0.9, 0.999), description="The optimizer's decay of its two averages.")
    weight_decay: float = Field(
        1e-2, ge=0, le=1, description="The share of the weights that decays a step, times rate."
    )
    max_grad_norm: float = Field(1.0, ge=0, description="The norm that gradients are clipped to; 0 clips nothing.")
    ema: float = Field(0.0, ge=0, lt=1, description="Decay of the running average that is the result; 0 is none.")
    precision: Literal["fp32", "bf16", "fp16"] = Field(
        "fp32", description="The type that matrices are multiplied in; trained weights stay in fp32."
    )
    gradient_checkpointing: bool = Field(False, description="Compute activations twice instead of keeping them.")
    log_every: int = Field(10, ge=1, description="Steps between two lines of the log.")

    @model_validator(mode="after")
    def _length(self) -> TrainParams:
        if (self.steps is None) == (self.epochs is None):
            raise ValueError("say one of steps and epochs" + ("" if self.steps is None else ", not both"))
        if self.steps is not None and self.warmup >= self.steps:
            raise ValueError(f"warmup of {self.warmup} steps is as long as the training of {self.steps} steps")
        return self


def total_steps(params: TrainParams, batches_per_epoch: int) -> int:
    """How many steps of the optimizer a training has. Raises UsageError where the warmup would be all of it."""
    steps = params.steps or -(-(params.epochs or 1) * batches_per_epoch // params.accumulation)
    if params.warmup >= steps:
        raise UsageError(
            f"warmup of {params.warmup} steps is as long as the training of {steps} steps",
            facts=[("epochs", params.epochs), ("batches in one", batches_per_epoch)],
            hint="set a smaller warmup, or more epochs",
        )
    return steps


def foreseen(params: TrainParams, batches_per_epoch: int | None) -> str:
    """How long a training is, in words; without the dataset, epochs are of unknown length."""
    if params.steps is None and batches_per_epoch is None:
        return f"{params.epochs} epochs of batches of {params.batch}"
    steps = total_steps(params, batches_per_epoch or 1)
    rest = "" if params.steps is not None else f" in {params.epochs} epochs of {batches_per_epoch} batches"
    return f"{steps} steps of {params.batch * params.accumulation} pictures{rest}"


class TrainingStage(TorchStage):
    """A stage that trains something; its params are a TrainParams. Write `train` where other stages have `run`."""

    resumable = True

    def run(self, action: BoundAction, context: Context) -> Notes | None:
        """Train, in one process or in as many as have a device and share the batches of a step evenly."""
        size = parallel.number(action.params.accumulation)
        return self.train(action, context) if size == 1 else parallel.run(self, action, context, size)

    def train(self, action: BoundAction, context: Context) -> Notes | None:
        """Read `action.inputs`, train, write every file of `action.outputs`."""
        raise NotImplementedError(f"{type(self).__name__} does not define train")

    def platform(self, context: Context) -> Mapping[str, str]:
        """That of every stage here; and how many processes may train, for sums have another order then."""
        size = parallel.wanted()
        return {**super().platform(context), **({"processes": str(size)} if size > 1 else {})}

    def foreseen(self, params: Any, inputs: Mapping[str, Path]) -> str:
        """How many steps or epochs there will be."""
        return foreseen(params, None)


def rate(params: TrainParams, step: int, steps: int) -> float:
    """The learning rate of a step, counted from 0: linear warmup, then constant, cosine or linear decay to zero."""
    if step < params.warmup:
        return params.learning_rate * (step + 1) / params.warmup
    done = (step - params.warmup) / max(1, steps - params.warmup)
    falling = {"constant": 1.0, "linear": 1 - done, "cosine": 0.5 + 0.5 * math.cos(math.pi * done)}
    return params.learning_rate * falling[params.schedule]


def autocast(precision: str, device: str) -> Any:
    """The context in which matrices are multiplied in a precision."""
    import torch

    if precision == "fp32":
        return contextlib.nullcontext()
    return torch.autocast(device.partition(":")[0], torch.bfloat16 if precision == "bf16" else torch.float16)


# Loop


@dataclass
class Training:
    """One training: what is trained, how, and where it is kept meanwhile.

    `kept` survives a kill; without it nothing is resumed. `watched` is a folder for TensorBoard.
    """

    params: TrainParams
    steps: int
    device: str
    parameters: Mapping[str, torch.nn.Parameter]
    kept: Path | None = None
    watched: Path | None = None
    say: Callable[[str], None] = field(default=lambda _: None)

    def run(
        self,
        losses: Callable[[int, int], Mapping[str, torch.Tensor]],
        after: Callable[[int], None] = lambda _: None,
    ) -> list[dict[str, Any]]:
        """Train; the parameters are the result afterwards (their average with `ema`). Returns the log.

        `losses(step, micro)` gives the scalar "loss" of one batch, which is learned from, and others to be logged.
        `after(step)` is called after every step that was trained in this process, and before it is saved. Where several
        processes train, this returns in the first of them only.
        """
        import torch

        self._team = parallel.team()
        self._optimizer = _optimizer(self.params, list(self.parameters.values()))
        self._scaler = torch.amp.GradScaler(self.device.partition(":")[0], enabled=self.params.precision == "fp16")
        self._averages = {name: p.detach().clone() for name, p in self.parameters.items()} if self.params.ema else {}
        self._log: list[dict[str, Any]] = []
        start = self._restored()
        if start:
            self.say(f"resumed after step {start} of {self.steps}")
        began, saved, said, cost = time.monotonic(), time.monotonic(), 0.0, 0.0
        with self._tensorboard() as board:
            for step in range(start, self.steps):
                record = self._step(step, losses)
                if record is not None:
                    self._log.append(record)
                    board(record)
                if not self._team.first:
                    continue
                after(step + 1)
                now = time.monotonic()
                if now - saved > max(SAVE_SECONDS, SAVE_SHARE * cost):
                    self._save(step + 1)
                    saved = time.monotonic()
                    cost = saved - now
                if record is not None and now - said > SAY_SECONDS:
                    said = now
                    left = (now - began) / (step + 1 - start) * (self.steps - step - 1)
                    self.say(
                        f"step {step + 1} of {self.steps}, loss {record['train/loss']:.4f}, "
                        f"learning rate {record['train/lr']:.2g}, {_minutes(left)} left"
                    )
        if not self._team.first:
            raise parallel.Done
        self.average()
        return self._log

    def average(self) -> None:
        """Put the running averages, if there are any, in the place of the parameters."""
        for name, value in self._averages.items():
            self.parameters[name].data.copy_(value)

    @contextlib.contextmanager
    def averaged(self) -> Iterator[None]:
        """The parameters as they would be the result now."""
        current = {name: self.parameters[name].detach().clone() for name in self._averages}
        self.average()
        try:
            yield
        finally:
            for name, value in current.items():
                self.parameters[name].data.copy_(value)

    def autocast(self) -> Any:
        """The context of the precision, for what `losses` computes."""
        return autocast(self.params.precision, self.device)

    def _step(self, step: int, losses: Callable[[int, int], Mapping[str, torch.Tensor]]) -> dict[str, Any] | None:
        import torch

        learning_rate = rate(self.params, step, self.steps)
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate
        sums: dict[str, torch.Tensor] = {}
        for micro in self._team.share(self.params.accumulation):
            torch.manual_seed(hashed(self.params.seed, step, micro, "dropout"))
            found = losses(step, micro)
            self._scaler.scale(found["loss"] / self.params.accumulation).backward()
            for name, value in found.items():
                part = value.detach() / self.params.accumulation
                sums[name] = sums[name] + part if name in sums else part
        self._team.sum(p.grad for p in self.parameters.values() if p.grad is not None)
        self._scaler.unscale_(self._optimizer)
        norm = torch.nn.utils.clip_grad_norm_(
            self.parameters.values(), self.params.max_grad_norm or math.inf, error_if_nonfinite=False
        )
        self._scaler.step(self._optimizer)
        self._scaler.update()
        self._optimizer.zero_grad(set_to_none=True)
        if self._averages:
            decay = min(self.params.ema, (step + 1) / (step + 10))
            torch._foreach_lerp_(
                list(self._averages.values()), [p.detach() for p in self.parameters.values()], 1 - decay
            )
        if (step + 1) % self.params.log_every and step + 1 != self.steps:
            return None
        self._team.sum(sums.values())
        record = {f"train/{name}": value.item() for name, value in sums.items()}
        record |= {"step": step + 1, "train/lr": learning_rate, "train/grad_norm": float(norm)}
        if not math.isfinite(record["train/loss"]):
            raise StageError(
                f"the loss is {record['train/loss']} after {step + 1} steps",
                facts=[("learning_rate", learning_rate), ("precision", self.params.precision)],
                hint='set a smaller learning_rate, or precision = "fp32"',
            )
        return record

    # Checkpoints

    def _save(self, step: int) -> None:
        if self.kept is None:
            return
        from safetensors.torch import save_file

        tensors: dict[str, torch.Tensor] = {f"parameter/{name}": p.data for name, p in self.parameters.items()}
        tensors |= {f"average/{name}": value for name, value in self._averages.items()}
        state = self._optimizer.state_dict()
        scalars: dict[str, Any] = {}
        for place, value in _leaves(state["state"]):
            if hasattr(value, "detach"):
                tensors[f"optimizer/{place}"] = value
            else:
                scalars[place] = value
        about = {
            "step": step,
            "log": self._log,
            "scalars": scalars,
            "groups": state["param_groups"],
            "scaler": self._scaler.state_dict(),
        }
        self.kept.mkdir(parents=True, exist_ok=True)
        temporary = self.kept / f"{CHECKPOINT}.tmp"
        try:
            save_file(_apart(tensors), temporary, {"about": json.dumps(about)})
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            temporary.replace(self.kept / CHECKPOINT)
        except Exception as error:  # safetensors wraps what the system says
            temporary.unlink(missing_ok=True)
            if isinstance(error, OSError):
                raise
            raise MachineError(f"the training cannot be saved: {error}", where=str(self.kept)) from error

    def _restored(self) -> int:
        """Load the checkpoint, if there is one that fits; returns how many steps are done."""
        if self.kept is None or not (self.kept / CHECKPOINT).is_file():
            return 0
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(self.kept / CHECKPOINT, "pt", device="cpu") as file:
                about = json.loads(file.metadata()["about"])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no dict
        except (SafetensorError, OSError, ValueError, KeyError, TypeError):
            self.say("the checkpoint cannot be read: the training begins anew")
            return 0
        import torch

        with torch.no_grad():
            for name, parameter in self.parameters.items():
                parameter.copy_(tensors[f"parameter/{name}"])
            for name, value in self._averages.items():
                value.copy_(tensors[f"average/{name}"])
        leaves = {key.removeprefix("optimizer/"): tensors[key] for key in tensors if key.startswith("optimizer/")}
        state = {int(index): values for index, values in _tree({**leaves, **about["scalars"]}).items()}
        self._optimizer.load_state_dict({"state": state, "param_groups": about["groups"]})
        self._scaler.load_state_dict(about["scaler"])
        self._log = about["log"]
        return int(about["step"])

    @contextlib.contextmanager
    def _tensorboard(self) -> Iterator[Callable[[Mapping[str, Any]], None]]:
        """Writes the log for TensorBoard where that is installed; nothing is read from it again."""
        writer = None
        if self.watched is not None:
            with contextlib.suppress(ImportError):
                from torch.utils.tensorboard import SummaryWriter

                writer = SummaryWriter(str(self.watched))
        if writer is None:
            yield lambda _: None
            return

        def write(record: Mapping[str, Any]) -> None:
            for name, value in record.items():
                if name != "step":
                    writer.add_scalar(name, value, record["step"])

        try:
            yield write
        finally:
            writer.close()


def _apart(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors in whole pieces of memory, none in that of another (8-bit optimizers share their tables)."""
    seen: set[int] = set()
    apart = {}
    for name, tensor in tensors.items():
        piece = tensor.contiguous()
        apart[name] = piece.clone() if piece.data_ptr() in seen else piece
        seen.add(piece.data_ptr())
    return apart


def _leaves(tree: Mapping[Any, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """The values of nested tables (the 8-bit optimizers nest theirs), each with its place: `0/exp_avg`."""
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{above}{name}/")
        else:
            yield f"{above}{name}", value


def _tree(leaves: Mapping[str, Any]) -> dict[str, Any]:
    """The nested tables of such values."""
    tree: dict[str, Any] = {}
    for place, value in leaves.items():
        *above, name = place.split("/")
        table = tree
        for part in above:
            table = table.setdefault(part, {})
        table[name] = value
    return tree


def write_log(path: Path, log: Sequence[Mapping[str, Any]]) -> None:
    """A line of JSON for every logged step; no clock is in it."""
    path.write_text("".join(json.dumps(record, sort_keys=True) + "\n" for record in log), encoding="utf-8")


def _optimizer(params: TrainParams, parameters: list[Any]) -> Any:
    import torch

    options = {"lr": params.learning_rate, "betas": params.betas, "weight_decay": params.weight_decay}
    if params.optimizer == "adamw":
        return torch.optim.AdamW(parameters, **options)
    package, name = {"adamw8bit": ("bitsandbytes.optim", "AdamW8bit"), "prodigy": ("prodigyopt", "Prodigy")}[
        params.optimizer
    ]
    try:
        import importlib

        return getattr(importlib.import_module(package), name)(parameters, **options)
    except ImportError as error:
        module = package.partition(".")[0]
        raise MachineError(
            f"optimizer {params.optimizer} needs {module}, which is not installed", hint=f"pip install {module}"
        ) from error


def _minutes(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
