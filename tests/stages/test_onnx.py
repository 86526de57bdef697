"""Stages that run a network of an ONNX file: matte and upscale, with networks of a single operation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")

import onnx
from onnx import TensorProto, helper, numpy_helper

from spritebuild.errors import StageError, UsageError
from spritebuild.stage import BoundAction, Context
from spritebuild_stages.images import png
from spritebuild_stages.matte import Matte
from spritebuild_stages.upscale import Upscale


def network(folder: Path, node: Any, constants: dict[str, np.ndarray[Any, Any]], channels: int, side: Any) -> Path:
    """A folder with a network of one operation, from x (1, 3, side, side) to y."""
    held = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, side, side])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, channels, None, None])
    model = helper.make_model(
        helper.make_graph([node], "one", [x], [y], held), opset_imports=[helper.make_opsetid("", 18)], ir_version=9
    )
    folder.mkdir()
    onnx.save(model, folder / "model.onnx")
    return folder


def doubling(folder: Path) -> Path:
    node = helper.make_node(
        "Resize", ["x", "", "scales"], ["y"], mode="nearest", coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    )  # fmt: skip
    return network(folder, node, {"scales": np.array([1, 1, 2, 2], np.float32)}, 3, None)


def brightness(folder: Path, side: Any = 32) -> Path:
    node = helper.make_node("ReduceMean", ["x", "axes"], ["y"], keepdims=1)
    return network(folder, node, {"axes": np.array([1], np.int64)}, 1, side)


def run(stage: Any, folder: Path, rgba: np.ndarray[Any, Any], model: Path, **params: Any) -> np.ndarray[Any, Any]:
    png.write(folder / "in.png", rgba)
    inputs = stage.Inputs(image=folder / "in.png", model=model)
    action = BoundAction(stage.Params(**params), inputs, stage.Outputs(image=folder / "out.png"))
    stage.run(action, Context(folder))
    return png.read(folder / "out.png")


def sprite() -> np.ndarray[Any, Any]:
    """A light square on a dark ground."""
    rgba = np.full((48, 40, 4), (20, 20, 20, 255), np.uint8)
    rgba[12:36, 10:30] = (220, 200, 180, 255)
    return rgba


def test_matte_keeps_what_the_network_sees_and_its_colors(tmp_path: Path) -> None:
    found = run(Matte(), tmp_path, sprite(), brightness(tmp_path / "model"))
    assert found.shape == (48, 40, 4)
    assert set(np.unique(found[..., 3])) == {0, 255}
    assert (found[14:34, 12:28] == (220, 200, 180, 255)).all()
    assert not found[:10].any()
    assert not found[:, 34:].any()


def test_matte_of_threshold_0_is_soft_and_never_more_opaque_than_the_picture(tmp_path: Path) -> None:
    rgba = sprite()
    rgba[20:24, 15:20, 3] = 90
    found = run(Matte(), tmp_path, rgba, brightness(tmp_path / "model", None), size=64, threshold=0)
    assert len(np.unique(found[..., 3])) > 3
    assert (found[..., 3] <= rgba[..., 3]).all()


def test_matte_without_a_difference_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="no difference"):
        run(Matte(), tmp_path, np.full((8, 8, 4), 255, np.uint8), brightness(tmp_path / "model"))


def test_upscaled_picture_is_larger_by_what_the_network_says(tmp_path: Path) -> None:
    rgba = np.random.default_rng(0).integers(0, 256, (5, 7, 4), np.uint8)
    rgba[..., 3] = np.where(rgba[..., 3] > 99, 255, 0)
    rgba[rgba[..., 3] == 0] = 0
    found = run(Upscale(), tmp_path, rgba, doubling(tmp_path / "model"))
    assert np.array_equal(found, rgba.repeat(2, 0).repeat(2, 1))


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "not one .onnx file"), (b"no network", "cannot load"), ("two", "not one .onnx file")],
)
def test_folder_without_a_network_is_refused(tmp_path: Path, content: Any, message: str) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    if content == "two":
        doubling(tmp_path / "other")
        for name in ("a.onnx", "b.onnx"):
            (folder / name).write_bytes((tmp_path / "other" / "model.onnx").read_bytes())
    elif content:
        (folder / "model.onnx").write_bytes(content)
    with pytest.raises(UsageError, match=message):
        run(Upscale(), tmp_path, sprite(), folder)


def test_network_of_another_shape_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="not a whole multiple"):
        run(Upscale(), tmp_path, np.zeros((32, 32, 4), np.uint8), brightness(tmp_path / "model"))


def test_broken_picture_names_its_file(tmp_path: Path) -> None:
    model = doubling(tmp_path / "model")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    inputs = Upscale.Inputs(image=tmp_path / "broken.png", model=model)
    action = BoundAction(Upscale.Params(), inputs, Upscale.Outputs(image=tmp_path / "out.png"))
    with pytest.raises(StageError, match=r"broken\.png"):
        Upscale().run(action, Context(tmp_path))
