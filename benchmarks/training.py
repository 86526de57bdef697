"""Training a LoRA beside the example script of diffusers: samples a second of CPU time, on the same model and data.

The model has the architecture of Stable Diffusion 1.5 with random weights and a fraction of its channels (--width),
so that its parts cost about each other's multiples as the real one's do. A run's cost is the difference between a long
and a short one: loading is left out, what a step costs is not. DIFFUSERS_SCRIPT says where
`train_text_to_image_lora.py` is, and DIFFUSERS_PYTHON which interpreter has its packages; without them only we are
measured.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from measure import Case, Cost, alternately, ratio, table

CHANNELS, VAE_CHANNELS, TEXT, HEADS = (320, 640, 1280, 1280), (128, 256, 512, 512), 768, 8
OURS, SCRIPT = "spritebuild train-lora", "diffusers' script"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--resolution", type=int, default=256, help="default: %(default)s")
    parser.add_argument("--width", type=int, default=4, choices=(1, 2, 4), help="divisor of the real model's channels")
    parser.add_argument("--batch", type=int, default=4, help="default: %(default)s")
    parser.add_argument("--steps", type=int, nargs=2, default=(2, 12), help="of the short and the long run")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32", help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=2, help="runs of each (default: %(default)s)")
    parser.add_argument("--pictures", type=int, default=24, help="default: %(default)s")
    said = parser.parse_args()
    os.environ |= {
        "OMP_NUM_THREADS": "1",
        "SPRITEBUILD_THREADS": "1",
        "SPRITEBUILD_DEVICE": "cpu",
        "HF_HUB_OFFLINE": "1",
    }
    os.environ |= {"HF_DATASETS_OFFLINE": "1", "ACCELERATE_USE_CPU": "true", "CUDA_VISIBLE_DEVICES": ""}
    with tempfile.TemporaryDirectory(prefix="spritebuild-") as folder:
        root = Path(folder)
        model(root / "model", said.width)
        pictures(root / "data", said.pictures, said.resolution)
        cases: dict[str, Case] = {}
        for steps in said.steps:
            cases[f"{OURS} {steps}"] = ours(root, said, steps)
            if script := os.environ.get("DIFFUSERS_SCRIPT"):
                cases[f"{SCRIPT} {steps}"] = peer(root, said, steps, script)
        costs = alternately(cases, said.rounds, warm_up=False)
    short, long = said.steps
    samples = (long - short) * said.batch
    speeds = {
        name: samples / (costs[f"{name} {long}"].cpu - costs[f"{name} {short}"].cpu)
        for name in (OURS, SCRIPT)
        if f"{name} {long}" in costs
    }
    rows = []
    for name in (OURS, SCRIPT):
        if name in speeds:
            cost: Cost = costs[f"{name} {long}"]
            rows.append(
                [
                    name,
                    f"{speeds[name]:.2f}",
                    ratio(speeds[name], speeds.get(SCRIPT, speeds[name])),
                    f"{cost.memory:.0f}",
                ]
            )
        else:
            rows.append([name, "absent: see DIFFUSERS_SCRIPT", "", ""])
    print(
        f"\n1/{said.width} of the channels, batch {said.batch}, {said.resolution}x{said.resolution}, {said.precision}, "
        "rank 16 on attention, 1 thread\n"
    )
    print(table(["", "samples a second of CPU", "to diffusers", "peak MB"], rows))


def model(folder: Path, width: int) -> None:
    """A Stable Diffusion 1.5 with its channels divided by `width`."""
    import diffusers
    import torch
    import transformers

    import spritebuild_stages

    torch.manual_seed(0)
    tokenizer = Path(spritebuild_stages.__file__).parent / "models" / "sprite-mini" / "tokenizer"
    text = transformers.CLIPTextConfig(
        hidden_size=TEXT // width,
        intermediate_size=4 * TEXT // width,
        num_hidden_layers=12,
        num_attention_heads=12,
        vocab_size=2000,
        max_position_embeddings=77,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
    )
    unet = diffusers.UNet2DConditionModel(
        sample_size=32,
        block_out_channels=tuple(channels // width for channels in CHANNELS),
        cross_attention_dim=TEXT // width,
        attention_head_dim=HEADS
        // width,  # diffusers' word for the number of heads here: they are as wide as the real one's
        norm_num_groups=16,
    )
    vae = diffusers.AutoencoderKL(
        block_out_channels=tuple(channels // width for channels in VAE_CHANNELS),
        layers_per_block=2,
        latent_channels=4,
        norm_num_groups=16,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
    )
    diffusers.StableDiffusionPipeline(
        vae=vae,
        unet=unet,
        text_encoder=transformers.CLIPTextModel(text),
        tokenizer=transformers.CLIPTokenizer.from_pretrained(tokenizer, model_max_length=77),
        scheduler=diffusers.DDPMScheduler(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(folder)


def pictures(folder: Path, count: int, side: int) -> None:
    """Pictures with captions, for both: sidecars, and the table that the script reads."""
    import json

    import numpy as np
    from PIL import Image

    folder.mkdir()
    lines = []
    for number in range(count):
        cells = np.random.default_rng(number).integers(0, 256, (16, 16, 3), np.uint8)
        picture = Image.fromarray(cells).resize((side, side), Image.Resampling.NEAREST)
        picture.save(folder / f"{number:03}.png")
        (folder / f"{number:03}.txt").write_text(f"a tile of noise, number {number}\n")
        lines.append(json.dumps({"file_name": f"{number:03}.png", "text": f"a tile of noise, number {number}"}))
    (folder / "metadata.jsonl").write_text("\n".join(lines) + "\n")


def ours(root: Path, said: argparse.Namespace, steps: int) -> Case:
    command = [sys.executable, "-m", "spritebuild", "train-lora", "--model", str(root / "model")]
    command += ["--dataset", str(root / "data"), "--out", str(root / "ours"), "--steps", str(steps)]
    command += ["--batch", str(said.batch), "--rank", "16", "--param", f'precision="{said.precision}"']
    command += ["--param", "sample_steps=1"]  # the script makes no pictures
    return Case(command, root)


def peer(root: Path, said: argparse.Namespace, steps: int, script: str) -> Case:
    command = [os.environ.get("DIFFUSERS_PYTHON", sys.executable), script]
    options = {
        "pretrained_model_name_or_path": root / "model", "train_data_dir": root / "data", "output_dir": root / "theirs",
        "max_train_steps": steps, "resolution": said.resolution, "train_batch_size": said.batch, "rank": 16,
        "mixed_precision": {"fp32": "no"}.get(said.precision, said.precision), "learning_rate": 1e-4, "seed": 0,
        "checkpointing_steps": 1_000_000, "cache_dir": root / "cache", "dataloader_num_workers": 0,
    }  # fmt: skip
    return Case([*command, *(f"--{name}={value}" for name, value in options.items())], root)


if __name__ == "__main__":
    main()
