"""The fingerprints of a picture, and whether two pictures look the same by them; knows no lock.

Bytes made on another class of machine differ in a pixel here and there. They are judged by these numbers, because the
locked bytes themselves may be nowhere at hand.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

HASH_BITS = 8  # of 64 bits of a perceptual hash that may differ; another sprite differs in 30 (median)
SILHOUETTE_SHARE = 0.03  # of the cells of the silhouette that may differ
GRID = 16  # cells of the silhouette a side
GROUND = 128  # gray on which a sprite is hashed: the hashes ignore alpha
SIGNATURES = (b"\x89PNG", b"GIF8", b"RIFF", b"\xff\xd8\xff", b"BM")  # of PNG, GIF, WebP, JPEG and BMP
BATCH = 256  # pictures that are computed together
BATCH_PIXELS = 1 << 22  # of them, about
MOST_COLORS = 64  # of a palette that is listed; photographs have none worth a line in a lock


def looks(path: str | Path) -> dict[str, Any]:
    """The fingerprints of a picture; empty for what is none.

    `size` in pixels. `pixels`: sha256 of the size and the straight-alpha RGBA bytes, colors under alpha 0 cleared: of
    the picture, however it is encoded. `colors`: how many visible ones. `palette`: those, six hexadecimal digits each,
    sorted, unless they are more than 64. `soft`: how many pixels are neither opaque nor transparent, if any. `phash`
    and `dhash` (imagehash) of the picture on gray. `silhouette`: 16x16 bits of where it is opaque.
    """
    return next(looks_of([path]))


def looks_of(pictures: Iterable[str | Path | bytes]) -> Iterator[dict[str, Any]]:
    """The fingerprints of each picture, in order, given its path or its file's bytes.

    Those of one size are computed together, which is cheaper by far.
    """
    batch: list[Image | None] = []
    held = 0
    for picture in pictures:
        image = _read(picture)
        batch.append(image)
        held += image.width * image.height if image else 0
        if held >= BATCH_PIXELS or len(batch) >= BATCH:
            yield from _of_batch(batch)
            batch, held = [], 0
    yield from _of_batch(batch)


def _read(picture: str | Path | bytes) -> Image | None:
    with io.BytesIO(picture) if isinstance(picture, bytes) else Path(picture).open("rb") as file:
        if not file.read(12).startswith(SIGNATURES):
            return None  # an atlas, a palette, a model: libraries for pictures are not even loaded
        from PIL import Image, UnidentifiedImageError

        file.seek(0)
        try:
            with Image.open(file) as opened:
                return opened.convert("RGBA")
        except UnidentifiedImageError:
            return None


def _of_batch(batch: Sequence[Image | None]) -> Iterator[dict[str, Any]]:
    sizes: dict[tuple[int, int], list[Image]] = {}
    for image in batch:
        if image is not None:
            sizes.setdefault(image.size, []).append(image)
    seen = {size: iter(_of_size(size, images)) for size, images in sizes.items()}
    for image in batch:
        yield {} if image is None else next(seen[image.size])


def _of_size(size: tuple[int, int], images: Sequence[Image]) -> list[dict[str, Any]]:
    """The fingerprints of pictures of one size."""
    import numpy as np

    heading = b"%d %d\n" % size
    packed = np.frombuffer(b"".join(image.tobytes() for image in images), "<u4").reshape(len(images), -1)
    alpha = packed >> 24
    seen = np.where(alpha > 0, packed, 0)
    hashes = _hashes(packed, size)
    soft = np.count_nonzero((alpha > 0) & (alpha < 255), axis=1).tolist()
    several = zip(seen, _colors(seen), soft, *hashes.values(), strict=True)
    return [
        {
            "size": list(size),
            "pixels": hashlib.sha256(heading + pixels.tobytes()).hexdigest(),
            "colors": colors,
            **({"palette": palette} if palette else {}),
            **({"soft": some} if some else {}),
            **dict(zip(hashes, three, strict=True)),
        }
        for pixels, (colors, palette), some, *three in several
    ]


def _colors(seen: NDArray[np.uint32]) -> list[tuple[int, str]]:
    """How many colors each picture has, and those as six digits each, sorted, if they are few; of (N, pixels)."""
    import numpy as np

    nothing = 1 << 24  # sorts behind every color
    swapped = seen.byteswap() >> 8  # red, green and blue as one number
    ordered = np.sort(np.where(seen > 0, swapped, nothing), axis=1)
    first = np.ones(ordered.shape, bool)
    first[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    first &= ordered < nothing
    counts = first.sum(axis=1).tolist()
    digits = ordered[first].astype(">u4").view(np.uint8).reshape(-1, 4)[:, 1:].tobytes().hex()
    ends = itertools.accumulate(counts)
    return [
        (count, digits[(end - count) * 6 : end * 6] if count <= MOST_COLORS else "")
        for count, end in zip(counts, ends, strict=True)
    ]


def _hashes(packed: NDArray[np.uint32], size: tuple[int, int]) -> dict[str, list[str]]:
    """pHash and dHash as imagehash computes and writes them, and the silhouette, of (N, pixels).

    Source: imagehash 4.3, `phash` and `dhash` with a hash of 8 a side; a call of it costs as much as all the rest.
    """
    import numpy as np
    from PIL import Image

    dct = _dct()
    lanczos, box = Image.Resampling.LANCZOS, Image.Resampling.BOX
    count, (width, height) = len(packed), size
    column = Image.frombuffer("RGBA", (width, height * count), packed, "raw", "RGBA", 0, 1)  # one under the other
    ground = Image.new("RGBA", column.size, (GROUND, GROUND, GROUND, 255))
    alphas, flat = column.getchannel("A"), Image.alpha_composite(ground, column).convert("RGB").convert("L")
    large, small, shape = [], [], []
    for number in range(count):
        place = (0, number * height, width, (number + 1) * height)
        one = flat.crop(place)
        large.append(one.resize((32, 32), lanczos).tobytes())
        small.append(one.resize((9, 8), lanczos).tobytes())
        shape.append(alphas.crop(place).resize((GRID, GRID), box).tobytes())
    grays = np.frombuffer(b"".join(large), np.uint8).reshape(count, 32, 32)
    frequencies = dct(dct(grays.astype(np.float64), 1)[:, :8], 2)[:, :, :8]
    slopes = np.frombuffer(b"".join(small), np.uint8).reshape(count, 8, 9)
    medians = np.median(frequencies.reshape(count, -1), axis=1)
    bits = {
        "phash": frequencies > medians[:, None, None],
        "dhash": slopes[:, :, 1:] > slopes[:, :, :-1],
        "silhouette": np.frombuffer(b"".join(shape), np.uint8) >= GROUND,
    }
    packs = {name: np.packbits(each.reshape(count, -1), axis=1) for name, each in bits.items()}
    return {name: [one.tobytes().hex() for one in each] for name, each in packs.items()}


@functools.cache
def _dct() -> Callable[[NDArray[np.float64], int], NDArray[np.float64]]:
    """SciPy's DCT-II along one axis.

    Its compiled module is loaded by itself, where that can be: all of `scipy.fft` takes longer to load than a small
    build to run.
    """
    import importlib.util

    import numpy as np

    with contextlib.suppress(Exception):  # it is SciPy's own affair where it lies, and how it is called
        package = importlib.util.find_spec("scipy")
        (path,) = Path(package.submodule_search_locations[0]).glob("fft/_pocketfft/pypocketfft.*")  # type: ignore[index, union-attr]
        spec = importlib.util.spec_from_file_location("pypocketfft", path)
        module = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
        spec.loader.exec_module(module)  # type: ignore[union-attr]
        module.dct(np.zeros((1, 2)), 2, (1,))
        return lambda values, axis: module.dct(values, 2, (axis,))
    from scipy.fft import dct

    return lambda values, axis: dct(values, axis=axis)


def same_looks(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether two pictures look the same to somebody who compares them; pictures without looks never do."""
    if not old or not new or list(old["size"]) != list(new["size"]):
        return False
    return (
        distance(old["phash"], new["phash"]) <= HASH_BITS
        and distance(old["dhash"], new["dhash"]) <= HASH_BITS
        and distance(old["silhouette"], new["silhouette"]) <= SILHOUETTE_SHARE * GRID * GRID
    )


def distance(left: str, right: str) -> int:
    """How many bits two hashes, written as hexadecimal digits, differ in."""
    return (int(left, 16) ^ int(right, 16)).bit_count()
