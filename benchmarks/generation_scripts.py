"""What spritebuild's generation is measured against: scripts around diffusers, as people write them. A process each.

`loop` makes one image a call, as the documentation of diffusers shows it. `batch` is tuned by hand: many images a call,
no progress bar, channels-last if asked for, files written by threads beside the denoising, the processes and threads
that are fastest. Each prints one JSON line: seconds of loading and, from the end of the first call on, the images made
and the seconds and CPU seconds that they took.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

KINDS = ["red potion", "long sword", "green tree", "stone wall", "wizard in a blue robe", "brown shield"]
GUIDANCE = 2.5


def main() -> None:
    """Make the images, say how long it took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("way", choices=["loop", "batch"])
    parser.add_argument("model", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--numbers", required=True, help="first:last of the images")
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--size", type=int, required=True)
    parser.add_argument("--dtype", choices=["fp32", "bf16"], required=True)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--threads", type=int, default=0, help="as many as torch likes unless said")
    parser.add_argument("--channels-last", action="store_true")
    options = parser.parse_args()
    os.environ |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    first, last = map(int, options.numbers.split(":"))
    options.out.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    pipe = _load(options)
    loaded = time.monotonic() - started
    sys.stdout.write(json.dumps({"load": loaded} | _images(pipe, range(first, last), options)) + "\n")


def _load(options: argparse.Namespace) -> Any:
    import torch
    from diffusers import DiffusionPipeline

    if options.threads:
        torch.set_num_threads(options.threads)
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[options.dtype]
    pipe = DiffusionPipeline.from_pretrained(options.model, torch_dtype=dtype, local_files_only=True)
    if options.way == "batch":
        pipe.set_progress_bar_config(disable=True)
        if options.channels_last:
            pipe.unet.to(memory_format=torch.channels_last)
            pipe.vae.to(memory_format=torch.channels_last)
    return pipe.to("cuda" if torch.cuda.is_available() else "cpu")


def _images(pipe: Any, numbers: range, options: argparse.Namespace) -> dict[str, float]:
    import torch

    def call(group: range) -> list[Any]:
        generators = [torch.Generator("cpu").manual_seed(number) for number in group]
        with torch.inference_mode():
            found: list[Any] = pipe(
                [KINDS[number % len(KINDS)] for number in group],
                height=options.size,
                width=options.size,
                num_inference_steps=options.steps,
                guidance_scale=GUIDANCE,
                generator=generators,
            ).images
        return found

    groups = [numbers[start : start + options.batch] for start in range(0, len(numbers), options.batch)]
    marks: list[tuple[float, float]] = []
    with ThreadPoolExecutor(1) as pool:
        for group in groups:
            for number, image in zip(group, call(group), strict=True):
                path = options.out / f"{number}.png"
                if options.way == "batch":
                    pool.submit(image.save, path)
                else:
                    image.save(path)
            marks.append((time.monotonic(), time.process_time()))
    ended, spent = time.monotonic(), time.process_time()
    images = len(numbers) - len(groups[0])
    return {"images": images, "seconds": ended - marks[0][0], "cpu": spent - marks[0][1]}


if __name__ == "__main__":
    main()
