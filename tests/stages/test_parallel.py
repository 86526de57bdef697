"""Several processes that train one model: the bits that one process computes, and an end for all when one ends."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("diffusers")
pytest.importorskip("accelerate")

from tiny_models import MODEL
from training_runs import Workshop, blocks, cpu, everything, killed

from spritebuild.errors import StageError, UsageError
from spritebuild.stage import Context
from spritebuild_stages.train_lora import TrainLora
from spritebuild_stages.train_vae import TrainVae
from spritebuild_stages.training import parallel

pytestmark = pytest.mark.diffusion
__all__ = ["cpu"]

VAE = {"steps": 3, "batch": 2, "channels": (8, 16), "latent_channels": 4, "accumulation": 2, "log_every": 1, "ema": 0.9}
LORA = {"steps": 3, "batch": 2, "rank": 2, "accumulation": 2, "log_every": 1, "dropout": 0.2, "save_dtype": "fp32"}


@pytest.fixture
def vaes(tmp_path: Path) -> Workshop:
    return Workshop(TrainVae(), tmp_path, blocks(tmp_path / "data"), VAE)


@pytest.fixture
def loras(tmp_path: Path) -> Workshop:
    return Workshop(TrainLora(), tmp_path, {**blocks(tmp_path / "data"), "model": MODEL}, LORA)


@pytest.mark.parametrize("kind", ["vaes", "loras"])
def test_two_processes_compute_the_bits_of_one(
    kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    workshop: Workshop = request.getfixturevalue(kind)
    alone = everything(workshop.train(workshop.action()))
    monkeypatch.setenv(parallel.NUMBER, "2")
    together = everything(workshop.train(workshop.action()))
    assert "training in 2 processes" in workshop.said
    assert together == alone  # of two numbers, the sum is the same in either order


def test_they_go_on_where_one_was_killed(vaes: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = everything(vaes.train(vaes.action()))
    kept = tmp_path / "kept"
    killed(partial(vaes.train, vaes.action(kept)), step=1, when="after")
    killed(partial(vaes.train, vaes.action(kept)), step=2, when="before")
    monkeypatch.setenv(parallel.NUMBER, "2")
    assert everything(vaes.train(vaes.action(kept))) == whole
    assert "resumed after step 1 of 3" in vaes.said or "resumed after step 2 of 3" in vaes.said


def test_all_end_when_one_is_killed(vaes: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(parallel.NUMBER, "2")
    started: list[int] = []
    start = parallel._Member.__init__

    def starting(self: parallel._Member, rank: int, *told: object) -> None:
        start(self, rank, *told)  # type: ignore[arg-type]
        started.append(self._process.pid)
        if rank:
            self._process.kill()

    monkeypatch.setattr(parallel._Member, "__init__", starting)
    with pytest.raises(StageError, match="a process of the training ended with status -9"):
        vaes.train(vaes.action())
    assert len(started) == 2
    for pid in started:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_errors_of_the_data_are_those_of_one_process(
    vaes: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(parallel.NUMBER, "2")
    with pytest.raises(UsageError, match="16x16, which does not fit an autoencoder of 6 levels") as caught:
        vaes.train(vaes.action(channels=(8, 8, 8, 8, 8, 8)))
    assert caught.value.hint


def test_number_of_processes_divides_the_batches_of_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    assert parallel.number(4) == 1  # SPRITEBUILD_DEVICE names one device
    monkeypatch.setenv(parallel.NUMBER, "3")
    assert [parallel.number(accumulation) for accumulation in (1, 2, 3, 4, 5, 6)] == [1, 2, 3, 2, 1, 3]
    assert TrainVae().platform(Context(Path()))["processes"] == "3"
    monkeypatch.setenv(parallel.NUMBER, "0")
    with pytest.raises(UsageError, match="SPRITEBUILD_PROCESSES=0: a number of processes is 1 or more"):
        parallel.number(2)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_every_batch_of_a_step_is_computed_by_one_process(size: int) -> None:
    shares = [batch for rank in range(size) for batch in parallel.Team(rank, size).share(6)]
    assert sorted(shares) == list(range(6))
