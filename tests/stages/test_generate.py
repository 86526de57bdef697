"""The bytes of an image do not depend on how the stage came to make it. One thread, few sampling steps, a real model.

The whole is meant to take about a minute of one CPU core: 24 images where the number matters, and a handful in each
combination of batch, dtype and sampler.
"""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

pytest.importorskip("torch")
pytest.importorskip("diffusers")

import spritebuild_stages
from spritebuild.errors import MachineError, UsageError
from spritebuild.stage import BoundAction, Context
from spritebuild_stages.generate import Generate, GenerateInputs, GenerateOutputs, GenerateParams
from spritebuild_stages.images import png

pytestmark = pytest.mark.diffusion

MODEL = Path(spritebuild_stages.__file__).parent / "models" / "sprite-mini"
PROMPTS = ("red potion", "", "green trees, tree", "a sword", "grey wall, stone brick", "blue monster, animals, spider")
FEW = {"steps": 3}


@dataclass
class Studio:
    """A stage that keeps its model, and a fresh memory for its probe's verdicts unless told otherwise."""

    folder: Path
    stage: Generate = field(default_factory=Generate)
    model: Path = MODEL
    said: list[str] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=itertools.count)

    @property
    def memory(self) -> Path:
        return self.folder / "memory"

    def action(self, seed: int, **params: Any) -> BoundAction:
        image = self.folder / f"{next(self.numbers)}.png"
        params = {"prompt": PROMPTS[seed % len(PROMPTS)], "seed": seed, **FEW, **params}
        return BoundAction(GenerateParams(**params), GenerateInputs(model=self.model), GenerateOutputs(image=image))

    def run(self, actions: Sequence[BoundAction]) -> list[dict[str, Any]]:
        context = Context(self.memory, threads=1, say=self.said.append)
        results = list(self.stage.run_batch(actions, context))
        assert [index for index, _ in results] == list(range(len(actions)))
        assert all(notes is not None and notes["seconds"] > 0 for _, notes in results)
        return [{key: value for key, value in (notes or {}).items() if key != "seconds"} for _, notes in results]

    def images(self, seeds: Sequence[int], **params: Any) -> dict[int, bytes]:
        actions = [self.action(seed, **params) for seed in seeds]
        self.run(actions)
        return {action.params.seed: action.outputs.image.read_bytes() for action in actions}


@pytest.fixture(autouse=True)
def _cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPRITEBUILD_DEVICE", "cpu")


@pytest.fixture(scope="module")
def stages() -> dict[str, Generate]:
    return {}


@pytest.fixture
def studio(tmp_path: Path, stages: dict[str, Generate]) -> Studio:
    """A studio whose model is loaded once a dtype, and whose verdicts are those of earlier tests."""
    return Studio(tmp_path, stages.setdefault("shared", Generate()))


@pytest.fixture
def fresh(tmp_path: Path) -> Studio:
    return Studio(tmp_path)


def test_image_is_the_same_alone_and_in_a_group_of_24_in_any_order(studio: Studio) -> None:
    seeds = range(24)
    together = studio.images(seeds)
    assert len(set(together.values())) == 24
    assert studio.images(seeds[::-1]) == together
    for seed in (0, 13, 23):
        assert studio.images([seed]) == {seed: together[seed]}


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seeds=st.lists(st.integers(0, 2**63 - 1), max_size=6, unique=True), place=st.integers(0, 6))
def test_image_is_the_same_beside_any_neighbors(studio: Studio, seeds: list[int], place: int) -> None:
    subject = 5
    group = [seed for seed in seeds if seed != subject]
    group.insert(place, subject)
    assert studio.images(group)[subject] == studio.images([subject])[subject]


def test_image_is_the_same_in_a_new_process(studio: Studio) -> None:
    script = f"""
from pathlib import Path
from spritebuild.stage import BoundAction, Context
from spritebuild_stages.generate import Generate, GenerateInputs, GenerateOutputs, GenerateParams
image = Path({str(studio.folder / "other.png")!r})
params = GenerateParams(prompt={PROMPTS[3]!r}, seed=3, steps=3)
action = BoundAction(params, GenerateInputs(model=Path({str(MODEL)!r})), GenerateOutputs(image=image))
list(Generate().run_batch([action], Context(Path({str(studio.memory)!r}))))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")  # the libraries are silent too
    assert (studio.folder / "other.png").read_bytes() == studio.images([2, 3, 4])[3]


@pytest.mark.parametrize("batch", [1, 2, 4, 8])
@pytest.mark.parametrize("scheduler", ["ddim", "euler_a", "dpmpp_2m_sde"])
@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_every_combination_gives_the_same_bytes(studio: Studio, dtype: str, scheduler: str, batch: int) -> None:
    params = {"dtype": dtype, "scheduler": scheduler, "batch": batch}
    together = studio.images(range(5), **params)
    assert studio.images([4, 2, 0], **params) == {seed: together[seed] for seed in (4, 2, 0)}
    alone = studio.action(3, **params)
    assert studio.run([alone]) == [{"batch": batch, "device": "cpu", "warnings": []}]  # not one at a time
    assert alone.outputs.image.read_bytes() == together[3]


def test_a_batch_of_16_is_the_same_in_every_slot(studio: Studio) -> None:
    params = {"dtype": "bf16", "batch": 16}
    together = studio.images(range(17), **params)
    assert studio.images([9], **params) == {9: together[9]}
    assert studio.run([studio.action(16, **params)]) == [{"batch": 16, "device": "cpu", "warnings": []}]


@pytest.mark.parametrize("scheduler", ["ddim", "ddpm", "euler", "euler_a", "dpmpp_2m", "dpmpp_2m_sde", "unipc", "lcm"])
def test_every_scheduler_draws_the_same_thing(studio: Studio, scheduler: str) -> None:
    made = studio.action(3, prompt="red potion", scheduler=scheduler, steps=4, batch=1)
    other = studio.action(3, prompt="red potion", scheduler="ddim", steps=20, batch=1)
    studio.run([made])
    studio.run([other])
    rgba, expected = png.read(made.outputs.image) / 255, png.read(other.outputs.image) / 255
    premultiplied = [image[..., :3] * image[..., 3:] for image in (rgba, expected)]
    assert abs(premultiplied[0] - premultiplied[1]).mean() < 0.1


@pytest.mark.parametrize("steps", [1, 2])
@pytest.mark.parametrize("scheduler", ["ddpm", "dpmpp_2m", "dpmpp_2m_sde", "unipc", "lcm"])
def test_one_step_is_enough_to_run(studio: Studio, scheduler: str, steps: int) -> None:
    assert studio.images([1], scheduler=scheduler, steps=steps, batch=1)


def test_rgba_model_keeps_its_own_alpha(studio: Studio) -> None:
    action = studio.action(0, steps=8)
    studio.run([action])
    alpha = png.read(action.outputs.image)[..., 3]
    assert alpha.min() < 16 and alpha.max() > 240


def test_the_mark_is_each_images_own_and_changes_no_pixel(studio: Studio) -> None:
    plain, marked, beside = (studio.action(seed, mark=mark) for seed, mark in ((1, False), (1, True), (2, False)))
    studio.run([plain, marked, beside])
    files = [action.outputs.image.read_bytes() for action in (plain, marked, beside)]
    assert [png.marked(data) for data in files] == [False, True, False]
    assert files[1] == png.with_mark(files[0])
    assert studio.images([2]) == {2: files[2]}


def test_seed_prompt_negative_guidance_and_size_change_the_image(studio: Studio) -> None:
    different: list[dict[str, Any]] = [
        {},
        {"prompt": "sword"},
        {"negative": "red"},
        {"guidance": 5.0},
        {"guidance": 1.0},
        {"size": (40, 32)},
        {"steps": 4},
    ]
    images = [studio.images([0], batch=1, **params)[0] for params in different]
    images += studio.images([6], batch=1).values()  # the prompt of 0
    assert len(set(images)) == len(different) + 1


def test_model_stays_loaded_between_calls(fresh: Studio) -> None:
    fresh.images([1], batch=1)
    fresh.images([2], batch=1, steps=2)
    assert fresh.said == ["loading sprite-mini"]
    fresh.images([2], batch=1, dtype="bf16")
    assert fresh.said == ["loading sprite-mini"] * 2


def test_images_are_yielded_as_soon_as_their_batch_is_done(studio: Studio) -> None:
    actions = [studio.action(seed, batch=2) for seed in range(4)]
    results = studio.stage.run_batch(actions, Context(studio.memory))
    next(results)
    assert actions[0].outputs.image.exists()
    assert not actions[2].outputs.image.exists()


def test_no_actions_do_nothing(fresh: Studio) -> None:
    assert fresh.run([]) == []


def test_verdict_of_the_probe_is_remembered_by_other_processes(fresh: Studio) -> None:
    made = fresh.images([1])
    assert [said for said in fresh.said if said.startswith("probing")] != []
    later = Studio(fresh.folder)
    assert later.images([1]) == made
    assert later.said == ["loading sprite-mini"]


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"slots_agree": 1}', b"\xff", b"[" * 100_000])
def test_damaged_verdict_is_found_again(studio: Studio, damage: bytes) -> None:
    studio.images([1])  # loads the model
    stage = Generate()
    stage._loaded, stage._loras = studio.stage._loaded, studio.stage._loras
    other = Studio(studio.folder, stage)
    made = other.images([1], size=(16, 16))
    (verdict,) = (path for path in other.memory.iterdir() if b"16" in path.read_bytes())
    sound = verdict.read_bytes()
    verdict.write_bytes(damage)
    stage._verdicts.clear()
    assert other.images([1], size=(16, 16)) == made
    assert verdict.read_bytes() == sound
    assert len([said for said in other.said if said.startswith("probing")]) == 2


def test_memory_that_cannot_be_written_is_no_error(fresh: Studio) -> None:
    fresh.memory.write_text("a file where a folder should be")
    assert fresh.images([1], size=(16, 16))


def test_slots_that_disagree_are_made_one_at_a_time_with_a_warning(fresh: Studio) -> None:
    fresh.images([0], batch=1)
    assert fresh.stage._loaded is not None
    unet = fresh.stage._loaded[1].pipe.unet

    def depend_on_the_slot(module: Any, inputs: Any, output: Any) -> Any:
        import torch

        slots = torch.arange(len(output[0]), dtype=output[0].dtype) * 1e-3
        return (output[0] + slots[:, None, None, None],)

    with unet.register_forward_hook(depend_on_the_slot):
        together = fresh.images(range(3))
        assert fresh.images([2]) == {2: together[2]}
        notes = fresh.run([fresh.action(seed) for seed in range(3)])
    warning = "on this machine the slots of a batch of 4 disagree: made one at a time"
    assert notes == [{"batch": 1, "device": "cpu", "warnings": [warning]}] * 3
    (verdict,) = fresh.memory.iterdir()
    assert json.loads(verdict.read_bytes())["slots_agree"] is False


def test_words_that_the_model_does_not_see_are_named(studio: Studio) -> None:
    long = "a potion, " * 12 + "Zinnober auf dem Tisch"
    notes = studio.run([studio.action(1, prompt=long, batch=1), studio.action(2, batch=1, prompt="a potion")])
    (warning,) = notes[0]["warnings"]
    assert warning.startswith("the prompt is too long for the model, which does not see: ")
    assert warning.endswith("Zinnober auf dem Tisch")
    assert notes[1]["warnings"] == []


def test_negative_prompt_without_guidance_is_a_warning(studio: Studio) -> None:
    (notes,) = studio.run([studio.action(1, negative="blurry", guidance=1.0, batch=1)])
    assert notes["warnings"] == ["the negative prompt is unused at guidance 1"]


@pytest.mark.parametrize(
    ("size", "nearest"),
    [((33, 32), "32x32, 40x32"), ((4, 4), "8x8"), ((36, 20), "32x16, 32x24, 40x16, 40x24")],
)
def test_size_off_the_grid_names_the_nearest(studio: Studio, size: tuple[int, int], nearest: str) -> None:
    with pytest.raises(UsageError) as caught:
        studio.images([1], size=size)
    assert caught.value.message == f"the model makes no images of {size[0]}x{size[1]}"
    assert dict(caught.value.facts)["nearest"] == nearest


@pytest.mark.parametrize(
    "params",
    [
        {"seed": -1},
        {"seed": 2**63},
        {"steps": 0},
        {"guidance": 51},
        {"batch": 3},
        {"size": (0, 32)},
        {"dtype": "fp8"},
        {"scheduler": "plms"},
        {"scheduler": "lcm", "steps": 51},
        {"loras": [{"name": "a"}, {"name": "a", "weight": 0.5}]},
        {"colour": "red"},
    ],
)
def test_params_out_of_bounds_are_refused(params: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        GenerateParams(**{"prompt": "a", "seed": 1, **params})


def test_affinity_sorts_equal_models_together_and_ignores_what_is_the_images_own() -> None:
    stage = Generate()

    def affinity(model: str = "m", lora: str = "x", **params: Any) -> Any:
        inputs = {"model": model, "loras.a": lora}
        return stage.affinity(GenerateParams(**{"prompt": "a", "seed": 1, **params}), inputs)

    assert affinity() == affinity(prompt="b", seed=2, negative="c")
    used = [{"name": "a"}]
    others = [
        affinity("n"),
        affinity(lora="y"),
        affinity(loras=used),
        affinity(loras=[{"name": "a", "weight": 0.5}]),
        *(affinity(**{name: value}) for name, value in [("dtype", "bf16"), ("batch", 8), ("scheduler", "euler")]),
        *(affinity(**{name: value}) for name, value in [("steps", 4), ("guidance", 2), ("size", (16, 16))]),
    ]
    everything = [affinity(), *others]
    assert len(set(everything)) == len(everything)
    models = [key[0] for key in sorted([*everything, affinity("n", steps=4)])]
    assert models == sorted(models)


def test_lora_that_is_no_input_is_refused(studio: Studio) -> None:
    with pytest.raises(UsageError, match="no input for LoRA 'style'"):
        studio.images([1], loras=[{"name": "style"}])


def test_platform_names_what_bits_depend_on(studio: Studio) -> None:
    studio.images([1], batch=1)
    platform = studio.stage.platform(Context(studio.memory))
    assert platform["device"] == "cpu"
    assert platform["threads"] == "1"
    assert {"cpu", "cpu_capability", "onednn", "torch", "diffusers", "transformers", "peft"} <= set(platform)
    assert json.loads(json.dumps(platform)) == platform


def test_unknown_device_is_a_machine_error(fresh: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPRITEBUILD_DEVICE", "tpu")
    with pytest.raises(MachineError, match="no such device"):
        fresh.images([1])


def test_running_out_of_memory_says_what_to_do(fresh: Studio) -> None:
    import torch

    fresh.images([0], batch=1)
    assert fresh.stage._loaded is not None

    def fail(module: Any, inputs: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nmore")

    with fresh.stage._loaded[1].pipe.unet.register_forward_pre_hook(fail), pytest.raises(MachineError) as caught:
        fresh.images([1])
    assert str(caught.value) == (
        "the device is out of memory\n"
        "  device    cpu\n"
        "  batch     4\n"
        "  reported  CUDA out of memory. Tried to allocate 2.00 GiB.\n"
        "\n"
        'hint: set batch = 2, memory = "sliced" or dtype = "bf16" (the images will differ), '
        "or end other programs on the device"
    )


def test_importing_the_stage_is_cheap() -> None:
    script = "import sys, spritebuild_stages.generate; print({'torch', 'diffusers', 'numpy', 'PIL'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_missing_torch_names_the_extra(tmp_path: Path) -> None:
    script = """
import sys
sys.modules["torch"] = None
from pathlib import Path
from spritebuild.errors import MachineError
from spritebuild.stage import Context
from spritebuild_stages.generate import Generate
try:
    Generate().platform(Context(Path("memory")))
except MachineError as error:
    print(error.hint)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == 'pip install "spritebuild[diffusion]"\n'
