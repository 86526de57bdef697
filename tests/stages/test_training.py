"""What every training shares: draws, order, steps and rates."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

pytest.importorskip("torch")

import torch
from training_runs import cpu

from spritebuild.errors import StageError, UsageError
from spritebuild_stages._draws import Order, chance, noise
from spritebuild_stages.training.loop import Training, TrainParams, rate, total_steps

__all__ = ["cpu"]

groups = st.lists(st.sampled_from(["wide", "tall", "square"]), min_size=1, max_size=12)


@given(groups, st.integers(1, 5), st.integers(0, 9))
def test_an_epoch_visits_every_example_as_often_as_it_repeats(kinds: list[str], batch: int, epoch: int) -> None:
    repeats = [1 + index % 3 for index in range(len(kinds))]
    order = Order(kinds, batch, 7, repeats)
    first = epoch * order.batches_per_epoch
    batches = [order.batch(number) for number in range(first, first + order.batches_per_epoch)]
    assert all(len(one) == batch for one in batches)
    assert all(len({kinds[index] for index in one}) == 1 for one in batches)
    visits = Counter(index for one in batches for index in one)
    assert all(visits[index] >= count for index, count in enumerate(repeats))
    assert sum(visits.values()) - sum(repeats) < batch * len(set(kinds))


def test_the_order_of_a_batch_does_not_depend_on_those_asked_for_before() -> None:
    whole, late = (Order(["a"] * 9, 2, 1, [1] * 9) for _ in range(2))
    asked = [whole.batch(number) for number in range(20)]
    assert late.batch(17) == asked[17]
    assert asked[:5] != asked[5:10]


def test_weights_draw_in_proportion() -> None:
    order = Order(["a"] * 3, 4, 1, [1, 1, 2], [1.0, 3.0, 1.0])
    drawn = Counter(index for number in range(600) for index in order.batch(number))
    assert drawn[1] / 2400 == pytest.approx(1 / 2, abs=0.04)
    assert drawn[2] / 2400 == pytest.approx(1 / 3, abs=0.04)


def test_a_draw_belongs_to_its_place() -> None:
    assert torch.equal(noise((3, 4), 1, 2, 3, "noise"), noise((3, 4), 1, 2, 3, "noise"))
    assert not torch.equal(noise((3, 4), 1, 2, 3, "noise"), noise((3, 4), 1, 2, 4, "noise"))
    drawn = [chance(1, number, "x") for number in range(2000)]
    assert sum(drawn) / 2000 == pytest.approx(0.5, abs=0.02)
    assert 0 <= min(drawn) < 0.01
    assert 0.99 < max(drawn) < 1


@pytest.mark.parametrize(
    ("pictures", "accumulation", "repeats", "steps"), [(50, 1, 1, 130), (50, 2, 1, 65), (50, 1, 24, 3000)]
)
def test_epochs_make_as_many_steps_as_there_are_batches(
    pictures: int, accumulation: int, repeats: int, steps: int
) -> None:
    params = TrainParams(epochs=10, batch=4, accumulation=accumulation)
    order = Order(["a"] * pictures, 4, 0, [repeats] * pictures)
    assert total_steps(params, order.batches_per_epoch) == steps


def test_a_warmup_as_long_as_the_training_is_refused() -> None:
    with pytest.raises(ValidationError, match="warmup of 100 steps is as long as the training of 100 steps"):
        TrainParams(steps=100, warmup=100)
    with pytest.raises(UsageError, match="warmup of 100 steps is as long as the training of 62 steps"):
        total_steps(TrainParams(epochs=1, warmup=100), 62)


@pytest.mark.parametrize("said", [{}, {"steps": 3, "epochs": 1}])
def test_a_training_is_so_many_steps_or_epochs_long(said: dict[str, int]) -> None:
    with pytest.raises(ValidationError, match="say one of steps and epochs"):
        TrainParams(**said)


@pytest.mark.parametrize(
    ("schedule", "rates"),
    [
        ("constant", [0.5, 1, 1, 1, 1, 1]),
        ("linear", [0.5, 1, 1, 0.75, 0.5, 0.25]),
        ("cosine", [0.5, 1, 1, 0.8536, 0.5, 0.1464]),
    ],
)
def test_the_rate_rises_and_falls(schedule: str, rates: list[float]) -> None:
    params = TrainParams(steps=6, warmup=2, learning_rate=1.0, schedule=schedule)
    assert [rate(params, step, 6) for step in range(6)] == pytest.approx(rates, abs=1e-4)


def line(
    params: TrainParams, target: float = 3.0, watched: Path | None = None
) -> tuple[torch.nn.Parameter, list[dict[str, float]]]:
    """Learn one number."""
    number = torch.nn.Parameter(torch.zeros(1))
    training = Training(params, params.steps or 1, "cpu", {"number": number}, watched=watched)
    return number, training.run(lambda step, micro: {"loss": (number - target).square().mean()})


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_gradients_are_clipped_and_their_norm_is_logged_as_it_was(precision: str) -> None:
    """M001-18: clipped after what scales the loss in fp16 is taken out again."""
    params = TrainParams(steps=1, log_every=1, max_grad_norm=1e-12, precision=precision, weight_decay=0)
    number, log = line(params)
    assert log[0]["train/grad_norm"] == pytest.approx(6.0)
    assert abs(number.item()) < 1e-6  # Adam's step is g / (|g| + 1e-8): a clipped gradient is small beside that


def test_accumulated_batches_are_one_step() -> None:
    once, _ = line(TrainParams(steps=5))
    four, log = line(TrainParams(steps=5, accumulation=4, log_every=5))
    assert torch.equal(once, four)
    assert log[0]["step"] == 5


def test_the_average_is_the_result() -> None:
    last, _ = line(TrainParams(steps=20, learning_rate=0.1))
    average, _ = line(TrainParams(steps=20, learning_rate=0.1, ema=0.9))
    assert 0 < average.item() < last.item()


def test_a_loss_that_is_no_number_ends_the_training() -> None:
    with pytest.raises(StageError, match="the loss is nan after 1 steps"):
        line(TrainParams(steps=2, log_every=1), float("nan"))


@pytest.mark.parametrize(
    ("optimizer", "package"), [("adamw", "torch"), ("adamw8bit", "bitsandbytes"), ("prodigy", "prodigyopt")]
)
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_every_optimizer_goes_on_as_if_it_had_not_been_stopped(
    optimizer: str, package: str, precision: str, tmp_path: Path, cpu: None
) -> None:
    pytest.importorskip(package)
    highest = 1.0 if optimizer == "prodigy" else 1e-2
    params = TrainParams(steps=6, optimizer=optimizer, learning_rate=highest, precision=precision, log_every=1, ema=0.9)

    def trained(kept: Path | None = None, until: int = 6) -> tuple[list[torch.Tensor], list[dict[str, Any]]]:
        torch.manual_seed(0)
        network = torch.nn.Sequential(torch.nn.Linear(64, 128), torch.nn.SiLU(), torch.nn.Linear(128, 64))
        training = Training(params, 6, "cpu", dict(network.named_parameters()), kept)

        def losses(step: int, _: int) -> dict[str, torch.Tensor]:
            if step == until:
                raise KeyboardInterrupt
            pictures = torch.randn(8, 64, generator=torch.Generator().manual_seed(step))
            with training.autocast():
                made = network(pictures)
            return {"loss": (made.float() - pictures.roll(1, 1)).square().mean()}

        log = training.run(losses)
        return [parameter.detach() for parameter in network.parameters()], log

    whole, log = trained()
    assert log[-1]["train/loss"] < log[0]["train/loss"]
    for until in (2, 5):
        with pytest.raises(KeyboardInterrupt):
            trained(tmp_path, until)
    resumed, again = trained(tmp_path)
    assert again == log
    assert all(torch.equal(one, other) for one, other in zip(whole, resumed, strict=True))


def test_tensorboard_reads_what_was_logged(tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    _, log = line(TrainParams(steps=6, log_every=2), watched=tmp_path)
    events = accumulator.EventAccumulator(str(tmp_path)).Reload()
    assert sorted(events.Tags()["scalars"]) == ["train/grad_norm", "train/loss", "train/lr"]
    told = [(event.step, event.value) for event in events.Scalars("train/loss")]
    assert told == [(record["step"], pytest.approx(record["train/loss"])) for record in log]


@pytest.mark.parametrize(("optimizer", "package"), [("adamw8bit", "bitsandbytes"), ("prodigy", "prodigyopt")])
def test_an_optimizer_that_is_not_installed_is_named(optimizer: str, package: str) -> None:
    from importlib.util import find_spec

    from spritebuild.errors import MachineError

    if find_spec(package):
        pytest.skip("it is installed")
    with pytest.raises(MachineError, match=f"needs {package}"):
        line(TrainParams(steps=1, optimizer=optimizer))
