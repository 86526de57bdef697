"""The canonical PNG writer and the reader of any PNG."""

from __future__ import annotations

import hashlib
import io
import struct
import zlib
from pathlib import Path

import deflate
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from spritebuild_stages.images import png


@st.composite
def pictures(draw: st.DrawFn) -> png.Rgba:
    """Pictures of few colors and of many, from 1x1 up."""
    shape = (draw(st.integers(1, 20)), draw(st.integers(1, 20)))
    if draw(st.booleans()):
        return draw(arrays(np.uint8, (*shape, 4)))
    colors = draw(arrays(np.uint8, (draw(st.integers(1, 20)), 4)))
    return colors[draw(arrays(np.intp, shape, elements=st.integers(0, len(colors) - 1)))]


def many_colors(height: int, width: int) -> png.Rgba:
    """Smooth ramps with a pattern, more than 256 colors, without a random generator."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 5 % 256, y * 3 % 256, (x * y + y // 256) % 251, 255 - x % 7], axis=2).astype(np.uint8)


def few_colors() -> png.Rgba:
    y, x = np.mgrid[:32, :32]
    return np.array([[0, 0, 0, 0], [200, 30, 40, 255], [20, 30, 240, 255], [9, 9, 9, 128]], np.uint8)[x * y // 7 % 4]


def pillow(data: bytes) -> png.Rgba:
    with Image.open(io.BytesIO(data)) as image:
        return np.array(image.convert("RGBA"))


def chunks(data: bytes) -> dict[bytes, bytes]:
    found, at = {}, len(png.SIGNATURE)
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        found[data[at + 4 : at + 8]] = data[at + 8 : at + 8 + length]
        assert zlib.crc32(data[at + 4 : at + 8 + length]) == struct.unpack_from(">I", data, at + 8 + length)[0]
        at += 12 + length
    return found


def of_chunks(path: Path, *parts: tuple[bytes, bytes]) -> Path:
    """A file of any chunks, right or wrong."""
    body = [struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in parts]
    path.write_bytes(png.SIGNATURE + b"".join(body))
    return path


def header(width: int, height: int, depth: int = 8, color_type: int = 6) -> tuple[bytes, bytes]:
    return b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color_type, 0, 0, 0)


@given(pictures())
def test_pillow_decodes_the_same_pixels(rgba: png.Rgba) -> None:
    assert np.array_equal(pillow(png.encode(rgba)), rgba)


@given(pictures())
def test_the_same_pixels_give_the_same_bytes(rgba: png.Rgba) -> None:
    assert png.encode(rgba) == png.encode(np.asfortranarray(rgba.copy()))


@pytest.mark.parametrize(("height", "width"), [(1, 300), (300, 1), (63, 70), (64, 70), (65, 70), (200, 129)])
def test_filtered_rows_decode_across_bands(height: int, width: int) -> None:
    rgba = many_colors(height, width)
    data = png.encode(rgba)
    assert np.array_equal(pillow(data), rgba)
    assert data[25] == png.TRUECOLOR_ALPHA


def test_bytes_are_those_of_every_machine() -> None:
    digests = [hashlib.sha256(png.encode(rgba)).hexdigest() for rgba in (few_colors(), many_colors(70, 90))]
    assert digests == [
        "9fd46e891dee593430b52c18ef944e0e174bce4dfdddeca63f88e88edb5ac880",
        "f26ac4bfdbbee4332b475a4947cf0794a18607b6440124557a81e15d4350aec2",
    ]


@pytest.mark.parametrize(("height", "level"), [(31, 7), (32, 10)])
def test_the_level_is_decided_by_the_bytes_to_compress(height: int, level: int) -> None:
    rgba = np.array([[value, value, 0, 255] for value in range(256)], np.uint8)[many_colors(height, 63)[..., 0]]
    lines = zlib.decompress(chunks(png.encode(rgba))[b"IDAT"])
    assert len(lines) == 64 * height
    assert chunks(png.encode(rgba))[b"IDAT"] == bytes(deflate.zlib_compress(lines, level))


@pytest.mark.parametrize(("count", "depth"), [(1, 1), (2, 1), (3, 2), (4, 2), (5, 4), (16, 4), (17, 8), (256, 8)])
def test_the_palette_has_the_smallest_bit_depth(count: int, depth: int) -> None:
    rgba = np.zeros((3, 256, 4), np.uint8)
    rgba[..., 0] = np.arange(256) % count
    data = png.encode(rgba)
    assert (data[24], data[25]) == (depth, png.PALETTE)
    assert len(chunks(data)[b"PLTE"]) == 3 * count
    assert np.array_equal(pillow(data), rgba)


def test_257_colors_have_no_palette() -> None:
    rgba = np.zeros((1, 257, 4), np.uint8)
    rgba[0, :, 0], rgba[0, 256, 1] = np.arange(257) % 256, 1
    assert png.encode(rgba)[24:26] == bytes([8, png.TRUECOLOR_ALPHA])


def test_the_palette_is_sorted_and_transparent_first() -> None:
    rgba = np.array([[[9, 8, 7, 255], [1, 2, 3, 255], [5, 5, 5, 128], [0, 0, 0, 0]]], np.uint8)
    found = chunks(png.encode(rgba))
    assert found[b"PLTE"] == bytes([0, 0, 0, 5, 5, 5, 1, 2, 3, 9, 8, 7])
    assert found[b"tRNS"] == bytes([0, 128])
    assert list(found) == [b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"]


def test_an_opaque_picture_has_no_transparency_chunk() -> None:
    assert list(chunks(png.encode(np.full((4, 4, 4), 255, np.uint8)))) == [b"IHDR", b"PLTE", b"IDAT", b"IEND"]


def test_colors_under_alpha_0_are_kept() -> None:
    rgba = np.array([[[200, 100, 50, 0], [1, 2, 3, 0]]], np.uint8)
    assert np.array_equal(pillow(png.encode(rgba)), rgba)


@pytest.mark.parametrize(
    "rgba",
    [
        np.zeros((2, 2, 3), np.uint8),
        np.zeros((2, 2), np.uint8),
        np.zeros((2, 2, 4), np.float32),
        np.zeros((0, 2, 4), np.uint8),
        np.broadcast_to(np.uint8(0), (4097, 4096, 4)),
    ],
)
def test_what_is_no_picture_is_not_written(rgba: png.Rgba, tmp_path: Path) -> None:
    with pytest.raises(png.PngError):
        png.write(tmp_path / "a.png", rgba)
    assert not list(tmp_path.iterdir())


@settings(deadline=None)  # writes files
@given(pictures())
def test_what_was_written_is_read(tmp_path_factory: pytest.TempPathFactory, rgba: png.Rgba) -> None:
    path = tmp_path_factory.getbasetemp() / "picture.png"
    png.write(path, rgba)
    read = png.read(path)
    assert np.array_equal(read, rgba)
    assert read.flags.writeable


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_pngs_of_other_writers_are_read(mode: str, tmp_path: Path) -> None:
    image = Image.fromarray(many_colors(20, 30)).convert(mode)
    image.save(tmp_path / "a.png")
    assert np.array_equal(png.read(tmp_path / "a.png"), np.array(image.convert("RGBA")))


@pytest.mark.parametrize("color", [0, 2, 4, 6])
def test_16_bits_a_channel_are_refused_since_half_would_be_lost(color: int, tmp_path: Path) -> None:
    row = b"\x00" + bytes(2 * {0: 1, 2: 3, 4: 2, 6: 4}[color])
    path = of_chunks(tmp_path / "a.png", header(1, 1, 16, color), (b"IDAT", zlib.compress(row)), (b"IEND", b""))
    with pytest.raises(png.PngError, match=r"a\.png: 16 bits a channel, .*: save it with 8"):
        png.read(path)


def test_an_animation_is_refused_since_one_picture_would_be_seen(tmp_path: Path) -> None:
    frames = [Image.new("RGBA", (4, 4), color) for color in ("red", "blue")]
    frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:])
    with pytest.raises(png.PngError, match=r"a\.png: an animation, .*: save each of its frames"):
        png.read(tmp_path / "a.png")


def test_jpeg_by_the_name_of_a_png_is_called_what_it_is(tmp_path: Path) -> None:
    Image.new("CMYK", (4, 4)).save(tmp_path / "a.png", "JPEG")
    with pytest.raises(png.PngError, match=r"a\.png: not a PNG but a JPEG"):
        png.read(tmp_path / "a.png")


@pytest.mark.parametrize("alphas", [(0, 10), (0, 10, 255), (10,), (0,), (255, 0), (9, 10, 0)])
def test_palettes_keep_every_alpha(alphas: tuple[int, ...], tmp_path: Path) -> None:
    parts = header(3, 1, 8, 3), (b"PLTE", bytes(range(9))), (b"tRNS", bytes(alphas))
    path = of_chunks(tmp_path / "a.png", *parts, (b"IDAT", zlib.compress(b"\x00\x00\x01\x02")), (b"IEND", b""))
    assert png.read(path)[0, :, 3].tolist() == [*alphas, 255, 255, 255][:3]


def test_a_large_picture_is_refused_by_its_header(tmp_path: Path) -> None:
    path = of_chunks(tmp_path / "a.png", header(1 << 30, 1 << 30), (b"IDAT", b""))
    with pytest.raises(png.PngError, match=r"a\.png: 1073741824x1073741824 is .* Mpx, more than 16\.8"):
        png.read(path)


def test_a_second_header_does_not_get_a_large_picture_past_the_limit(tmp_path: Path) -> None:
    path = of_chunks(tmp_path / "a.png", header(1, 1), header(60000, 60000), (b"IDAT", zlib.compress(bytes(5))))
    with pytest.raises(png.PngError, match="60000x60000"):
        png.read(path)


@pytest.mark.parametrize("data", [b"", b"GIF89a", b"\x89PNG", b"<svg/>"])
def test_other_files_are_no_png(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(png.PngError, match=r"a\.png: not a PNG"):
        png.read(tmp_path / "a.png")


@st.composite
def plain(draw: st.DrawFn) -> list[tuple[bytes, bytes]]:
    """Chunks of a whole PNG of a palette, RGB or RGBA, with any filters and in any number of pieces."""
    color_type, depth = draw(st.sampled_from([(3, 1), (3, 2), (3, 4), (3, 8), (2, 8), (6, 8)]))
    width, height = draw(st.integers(1, 12)), draw(st.integers(1, 6))
    length = -(-width * depth * {2: 3, 3: 1, 6: 4}[color_type] // 8)
    filters = st.just(0) if draw(st.booleans()) else st.integers(0, 4)
    rows = [bytes([draw(filters)]) + draw(st.binary(min_size=length, max_size=length)) for _ in range(height)]
    parts = [header(width, height, depth, color_type)]
    if color_type == 3:
        rgb = draw(st.binary(min_size=3, max_size=3 << depth))
        parts.append((b"PLTE", rgb[: len(rgb) // 3 * 3]))
        parts += draw(st.sampled_from([[], [(b"tRNS", b"\x09")], [(b"tRNS", b"\x80")]]))
    data = zlib.compress(b"".join(rows), draw(st.sampled_from([0, 6])))
    cut = draw(st.integers(0, len(data)))
    parts += [(b"IDAT", data[:cut]), (b"IDAT", data[cut:])] if draw(st.booleans()) else [(b"IDAT", data)]
    for other in draw(st.lists(st.sampled_from([(b"gAMA", bytes(4)), (b"tEXt", b"a\0b"), (b"prVt", b"")]), max_size=2)):
        parts.insert(draw(st.sampled_from([1, len(parts)])), other)
    return [*parts, (b"IEND", b"")]


@settings(deadline=None)  # writes files
@given(plain())
def test_plain_pngs_are_read_as_pillow_reads_them(
    tmp_path_factory: pytest.TempPathFactory, parts: list[tuple[bytes, bytes]]
) -> None:
    path = of_chunks(tmp_path_factory.getbasetemp() / "plain.png", *parts)
    assert np.array_equal(png.read(path), pillow(path.read_bytes()))


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_palette_without_a_color_that_is_used_is_read_as_pillow_reads_it(count: int, tmp_path: Path) -> None:
    data = zlib.compress(b"\x00\x00\x01\x02\xff")
    parts = header(4, 1, 8, 3), (b"PLTE", bytes(range(9))[: 3 * count]), (b"IDAT", data), (b"IEND", b"")
    path = of_chunks(tmp_path / "a.png", *parts)
    assert np.array_equal(png.read(path), pillow(path.read_bytes()))


def test_an_interlaced_png_is_read(tmp_path: Path) -> None:
    # One pixel is all of the first pass; a second one, to its right, is in the sixth.
    parts = (b"IHDR", struct.pack(">IIBBBBB", 2, 1, 8, 6, 0, 0, 1)), (b"IDAT", zlib.compress(b"\x00abcd\x00efgh"))
    rgba = png.read(of_chunks(tmp_path / "a.png", *parts, (b"IEND", b"")))
    assert rgba.tobytes() == b"abcdefgh"


@pytest.mark.parametrize(("color_type", "key"), [(0, b"\x00\x07"), (2, b"\x00\x07" * 3)])
def test_a_color_key_is_transparent(color_type: int, key: bytes, tmp_path: Path) -> None:
    row = b"\x00" + bytes([7, 8] if color_type == 0 else [7, 7, 7, 8, 7, 7])
    parts = header(2, 1, 8, color_type), (b"tRNS", key), (b"IDAT", zlib.compress(row)), (b"IEND", b"")
    assert png.read(of_chunks(tmp_path / "a.png", *parts))[0, :, 3].tolist() == [0, 255]


@pytest.mark.parametrize("place", [16, 40])
def test_a_wrong_checksum_is_damage(place: int, tmp_path: Path) -> None:
    data = bytearray(png.encode(few_colors()))
    assert b"PLTE" in data[33:41]
    data[place + 4] ^= 1
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(png.PngError, match=r"a\.png: damaged PNG: .*checksum"):
        png.read(tmp_path / "a.png")


@pytest.mark.parametrize(("depth", "color_type"), [(8, 3), (8, 2), (8, 6)])
@pytest.mark.parametrize("behind", [b"", b"more"])
def test_rows_that_are_missing_are_damage(depth: int, color_type: int, behind: bytes, tmp_path: Path) -> None:
    row = bytes(1 + 3 * {2: 3, 3: 1, 6: 4}[color_type])
    parts = header(3, 3, depth, color_type), (b"PLTE", bytes(768)), (b"IDAT", zlib.compress(2 * row) + behind)
    path = of_chunks(tmp_path / "a.png", *parts, (b"IEND", b""))
    with pytest.raises(png.PngError, match=r"a\.png: damaged PNG"):
        png.read(path)


@settings(deadline=None)  # writes files
@given(st.integers(0, 60), st.binary(max_size=8))
def test_damaged_files_never_raise_anything_else(
    tmp_path_factory: pytest.TempPathFactory, keep: int, tail: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.png"
    path.write_bytes(png.encode(few_colors())[: len(png.SIGNATURE) + keep] + tail)
    with pytest.raises(png.PngError, match=r"damaged\.png: "):
        png.read(path)
