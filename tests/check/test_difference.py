"""What is said of two files, or folders, that differ; and that nothing in them harms a terminal."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from projects import safetensors

from spritebuild.check.difference import difference
from spritebuild.check.values import of_texts, shown


@pytest.fixture
def said(tmp_path: Path) -> Any:
    """What is said of two contents."""

    def say(old: bytes | str, new: bytes | str) -> str:
        for name, content in (("old", old), ("new", new)):
            (tmp_path / name).write_bytes(content.encode() if isinstance(content, str) else content)
        return difference(tmp_path / "old", tmp_path / "new")

    return say


def png(rgba: Any, level: int = 6, **notes: str) -> bytes:
    from io import BytesIO

    info = PngInfo()
    for name, text in notes.items():
        info.add_text(name, text)
    file = BytesIO()
    Image.fromarray(np.asarray(rgba, np.uint8)).save(file, "PNG", compress_level=level, pnginfo=info)
    return file.getvalue()


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def with_chunk(data: bytes, name: bytes, content: bytes) -> bytes:
    """A PNG with one chunk more, after its header."""
    return data[:33] + chunk(name, content) + data[33:]


PICTURE = np.arange(8 * 4 * 4, dtype=np.uint8).reshape(4, 8, 4)


def edited(*places: tuple[int, int]) -> Any:
    other = PICTURE.copy()
    for x, y in places:
        other[y, x, 2] ^= 1
    return other


def test_equal_bytes_have_no_difference(said: Any) -> None:
    assert said(b"abc", b"abc") == said(b"", b"") == ""


# PNG


def test_pixels_that_differ_are_counted_and_the_first_is_shown(said: Any) -> None:
    assert said(png(PICTURE), png(edited((3, 1), (4, 1), (0, 2)))) == (
        "pixels: 3 of 32 differ, first at (3, 1): #2c2d2e2f -> #2c2d2f2f"
    )


def test_note_that_differs_is_named_with_both_values(said: Any) -> None:
    one, other = png(PICTURE, Creation="2024-05-01 12:00:00"), png(PICTURE, Creation="2024-05-01 12:00:07")
    assert said(one, other) == "chunk tEXt Creation: 2024-05-01 12:00:00 -> 2024-05-01 12:00:07"
    assert said(one, png(PICTURE)) == "chunk tEXt Creation: 2024-05-01 12:00:00 -> (nothing)"
    assert said(png(PICTURE), one) == "chunk tEXt Creation: (nothing) -> 2024-05-01 12:00:00"


def test_note_and_pixels_are_both_said(said: Any) -> None:
    assert said(png(PICTURE, Seed="1"), png(edited((0, 0)), Seed="2")).split("\n") == [
        "chunk tEXt Seed: 1 -> 2",
        "pixels: 1 of 32 differ, first at (0, 0): #00010203 -> #00010303",
    ]


def test_time_and_other_chunks_are_read(said: Any) -> None:
    plain = png(PICTURE)
    times = [with_chunk(plain, b"tIME", struct.pack(">HBBBBB", 2024, 5, 1, 12, 0, second)) for second in (0, 7)]
    assert said(*times) == "chunk tIME: 2024-05-01 12:00:00 -> 2024-05-01 12:00:07"
    texts = [with_chunk(plain, b"iTXt", b"Title\0\0\0en\0\0caf" + word.encode()) for word in ("é", "e")]
    assert said(*texts) == "chunk iTXt Title: café -> cafe"
    packed = [with_chunk(plain, b"zTXt", b"Comment\0\0" + zlib.compress(word)) for word in (b"one", b"two")]
    assert said(*packed) == "chunk zTXt Comment: one -> two"
    sizes = [with_chunk(plain, b"pHYs", bytes([*range(8), number])) for number in (0, 1)]
    assert said(*sizes) == "chunk pHYs: 00 01 02 03 04 05 06 07 00 -> 00 01 02 03 04 05 06 07 01"


def test_second_note_of_a_name_is_told_from_the_first(said: Any) -> None:
    one = with_chunk(png(PICTURE, Seed="1"), b"tEXt", b"Seed\0001")
    other = with_chunk(png(PICTURE, Seed="2"), b"tEXt", b"Seed\0001")
    assert said(one, other) == "chunk tEXt Seed (2): 1 -> 2"


def test_same_pixels_in_another_encoding(said: Any) -> None:
    assert said(png(PICTURE, 1), png(PICTURE, 9)) == "same pixels, encoded otherwise (IDAT)"
    gray = np.full((4, 8, 4), 255, np.uint8)
    assert said(png(gray), png(gray[..., :3])) == "same pixels, encoded otherwise (IHDR, IDAT)"


def test_sizes_and_single_pixels(said: Any) -> None:
    assert said(png(PICTURE), png(PICTURE[:3])) == "size: 8x4 -> 8x3"
    assert said(png(PICTURE[:1, :1]), png(edited((0, 0))[:1, :1])).startswith("pixels: 1 of 1 differ")


def test_frames_of_an_animation_are_compared(said: Any, tmp_path: Path) -> None:
    def animation(*frames: Any) -> bytes:
        images = [Image.fromarray(frame) for frame in frames]
        images[0].save(tmp_path / "a.png", save_all=True, append_images=images[1:], duration=100)
        return (tmp_path / "a.png").read_bytes()

    one = animation(PICTURE, edited((1, 1)))
    assert said(one, animation(PICTURE, edited((2, 1)))).startswith("frame 2: pixels: 2 of 32 differ, first at (1, 1)")


def test_damaged_png_is_compared_by_its_bytes(said: Any) -> None:
    whole = png(PICTURE)
    assert said(whole, whole[:40]) == f"byte 40 ({len(whole)} bytes -> 40): {whole[40:48].hex(' ')} -> (end)"
    torn = bytearray(png(PICTURE, 0))
    torn[60] ^= 1
    assert said(png(PICTURE, 0), bytes(torn)).startswith(("byte 60 of ", "pixels: "))


# JSON and text


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"a": 1, "b": [1, {"c": 2}]}, {"a": 1, "b": [1, {"c": 3}]}, "b[1].c: 2 -> 3"),
        ({"a": 1}, {"a": 1, "b": None}, "b: (nothing) -> null"),
        ({"a": 1, "b": "x"}, {"a": 1}, 'b: "x" -> (nothing)'),
        ({"a": [1, 2]}, {"a": [1]}, "a: 2 values -> 1"),
        ({"a": 1}, {"a": 1.0}, "a: 1 -> 1.0"),
        ({"a": 1}, {"a": True}, "a: 1 -> true"),
        ([1, 2], [2, 1], "[0]: 1 -> 2"),
        (1, "1", '1 -> "1"'),
    ],
)
def test_first_value_that_differs_is_named_by_its_path(said: Any, old: Any, new: Any, expected: str) -> None:
    assert said(json.dumps(old), json.dumps(new)) == expected


def test_order_of_keys_and_spaces_are_told_from_values(said: Any) -> None:
    assert said('{"a": 1, "b": 2}', '{"b": 2, "a": 1}') == "same values, keys in another order"
    assert said('{"a": 1, "b": 2}', '{"a":1,"b":2}') == "same values, spaced otherwise"


def test_deep_json_is_compared_as_text_or_bytes(said: Any) -> None:
    deep = "[" * 100_000
    assert said(deep + "1", deep + "2")


def test_first_line_that_differs(said: Any) -> None:
    assert said("one\ntwo\nthree\n", "one\ntwo\n3\n") == "line 3: three -> 3"
    assert said("one\n", "one\ntwo\n") == "line 2: (nothing) -> two"
    line = "x" * 500
    assert (
        said(f"{line}a{line}", f"{line}b{line}")
        == f"line 1: ...{'x' * 20}a{'x' * 36}... -> ...{'x' * 20}b{'x' * 36}..."
    )


# Safetensors and other bytes


def test_first_tensor_that_differs(said: Any) -> None:
    def tensors(**values: list[float]) -> bytes:
        header, data = {}, b""
        for name, numbers in values.items():
            packed = struct.pack(f"<{len(numbers)}f", *numbers)
            header[name] = {
                "dtype": "F32",
                "shape": [len(numbers)],
                "data_offsets": [len(data), len(data) + len(packed)],
            }
            data += packed
        text = json.dumps(header).encode()
        return struct.pack("<Q", len(text)) + text + data

    one = tensors(up=[1, 2, 3], down=[4, 5])
    assert said(one, tensors(up=[1, 2, 3], down=[4, 5.5])) == "tensor down (F32 2), element 1: 5.0 -> 5.5"
    assert said(one, tensors(up=[1, 2], down=[4, 5])) == "tensor up: F32 3 -> F32 2"
    assert said(one, tensors(up=[1, 2, 3])) == "tensor down: F32 2 -> (nothing)"
    assert said(one, tensors(down=[4, 5], up=[1, 2, 3])) == "same tensors, in another order or with other padding"
    assert said(safetensors(b"abcd"), safetensors(b"abxd")) == "tensor weight (U8 4), element 2: 99 -> 120"


def test_bf16_and_metadata_are_read(said: Any) -> None:
    def half(number: int, note: str) -> bytes:
        row = {"dtype": "BF16", "shape": [1], "data_offsets": [0, 2]}
        text = json.dumps({"__metadata__": {"note": note}, "w": row}).encode()
        return struct.pack("<Q", len(text)) + text + struct.pack("<H", number)

    assert said(half(0x3F80, "a"), half(0x4000, "a")) == "tensor w (BF16 1), element 0: 1 -> 2"
    assert said(half(0x3F80, "a"), half(0x3F80, "b")) == '__metadata__.note: "a" -> "b"'


def test_header_that_lies_is_compared_by_bytes(said: Any) -> None:
    lies = [struct.pack("<Q", 10) + b'{"a": [1]}' + bytes([number, 255]) for number in (1, 2)]
    assert said(*lies) == "byte 18 of 20: 01 ff -> 02 ff"


def test_first_byte_that_differs(said: Any) -> None:
    assert said(bytes(100) + b"\xff12345678", bytes(100) + b"\xfe12345678") == (
        "byte 100 of 109: ff 31 32 33 34 35 36 37 -> fe 31 32 33 34 35 36 37"
    )
    big = bytes(3 << 20)
    assert said(big + b"\xff", big + b"\xff\xff") == "byte 3,145,729 (3,145,729 bytes -> 3,145,730): (end) -> ff"


# Folders


def test_first_file_of_a_folder(tmp_path: Path) -> None:
    for name in ("old", "new"):
        (tmp_path / name / "deep").mkdir(parents=True)
        (tmp_path / name / "same.txt").write_text("same")
        (tmp_path / name / "deep" / "b.txt").write_text(name)
    old, new = tmp_path / "old", tmp_path / "new"
    assert difference(old, new) == "deep/b.txt: line 1: old -> new"
    (new / "a.txt").write_text("a")
    assert difference(old, new) == "a.txt: was not there\n2 of 3 files differ"
    assert difference(new, old) == "a.txt: is missing now\n2 of 3 files differ"
    assert difference(old, old) == ""
    assert difference(old, new / "a.txt") == "a folder -> a file"


# Harmless


def test_control_characters_are_escaped(said: Any) -> None:
    assert said("a\x1b[2J\u202eb\n", "a\n") == r"line 1: a\x1b[2J\u202eb -> a"
    assert said(png(PICTURE, Title="\x1b[31m"), png(PICTURE)) == r"chunk tEXt Title: \x1b[31m -> (nothing)"
    assert said('{"\\u001b": 1}', '{"\\u001b": 2}') == r"\x1b: 1 -> 2"


@given(st.text(), st.text())
def test_any_two_texts_make_printable_lines(old: str, new: str) -> None:
    assert shown(old).isprintable()
    if old != new and "\0" not in old + new:
        said = of_texts(old, new)
        assert said and said.isprintable()


@given(
    st.binary(max_size=64), st.binary(max_size=64), st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\x08\0\0\0\0\0\0\0{"])
)
def test_any_two_files_are_told_apart(
    tmp_path_factory: pytest.TempPathFactory, old: bytes, new: bytes, start: bytes
) -> None:
    folder = tmp_path_factory.getbasetemp()
    (folder / "old").write_bytes(start + old)
    (folder / "new").write_bytes(start + new)
    said = difference(folder / "old", folder / "new")
    assert bool(said) == (old != new)
    assert all(line.isprintable() for line in said.split("\n"))
