"""The recipe that quantize.py compares with: k-means for every picture by itself; imports nothing of spritebuild.

python benchmarks/quantize_recipe.py speed OUT PNG... | palettes COLORS PNG...
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning

COLORS = 16


def main() -> None:
    """Print JSON: the cost of quantizing every picture, or the palette of all of them together."""
    warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct colors than clusters
    what, argument, *paths = sys.argv[1:]
    if what == "palettes":
        pixels = np.concatenate([opaque(np.array(Image.open(path).convert("RGBA"))) for path in paths])
        found = KMeans(n_clusters=int(argument), random_state=42).fit(pixels).cluster_centers_
        print(json.dumps(np.rint(found).astype(int).tolist()))
        return
    quantized(Path(paths[0]), Path(argument) / "warm-up.png")
    wall, cpu = time.perf_counter(), time.process_time()
    for number, path in enumerate(paths):
        quantized(Path(path), Path(argument) / f"{number}.png")
    print(json.dumps({"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}))


def opaque(rgba: np.ndarray) -> np.ndarray:
    return rgba[rgba[..., 3] >= 128][:, :3]


def quantized(source: Path, target: Path) -> None:
    rgba = np.array(Image.open(source).convert("RGBA"))
    visible = rgba[..., 3] >= 128
    pixels = rgba[visible][:, :3]
    found = KMeans(n_clusters=min(COLORS, len(pixels)), random_state=42).fit(pixels)
    rgba[~visible] = 0
    rgba[visible] = np.column_stack([np.rint(found.cluster_centers_)[found.labels_], np.full(len(pixels), 255)])
    Image.fromarray(rgba).save(target)


if __name__ == "__main__":
    main()
