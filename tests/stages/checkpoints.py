"""Pipelines of Stable Diffusion as one file of weights, in the names of the first implementation.

Source: the modules of the CompVis repository (`openaimodel.py`, `model.py`) and of OpenCLIP; facts, no code of theirs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import diffusers
import torch
from safetensors.torch import save_file

RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}


OPEN_CLIP = {
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "self_attn.out_proj": "attn.out_proj",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
}


def of_folder(folder: Path, path: Path) -> Path:
    """Write the model of a folder in the diffusers layout as one file."""
    pipeline = json.loads((folder / "model_index.json").read_text())["_class_name"]
    return write(getattr(diffusers, pipeline).from_pretrained(folder, local_files_only=True), path)


def write(pipe: Any, path: Path) -> Path:
    """Write the UNet, the autoencoder and the text encoders of a pipeline of Stable Diffusion 1.x or XL as one file."""
    tensors = {}
    for part, prefix, names in (
        (pipe.unet, "model.diffusion_model.", _unet(pipe.unet)),
        (pipe.vae, "first_stage_model.", _vae(pipe.vae)),
    ):
        renames = dict(names)
        for name, tensor in part.state_dict().items():
            module = max((ours for ours in renames if name.startswith(f"{ours}.")), key=len)
            tensors[prefix + renames[module] + name.removeprefix(module)] = tensor
    for name, tensor in tensors.items():
        if ".mid.attn_1." in name and "norm" not in name and name.endswith(".weight"):
            tensors[name] = tensor[:, :, None, None]  # which were convolutions once
    second = getattr(pipe, "text_encoder_2", None)
    first = "conditioner.embedders.0" if second is not None else "cond_stage_model"
    tensors |= {f"{first}.transformer.text_model.{name}": value for name, value in _clip(pipe.text_encoder)}
    if second is not None:
        tensors |= {f"conditioner.embedders.1.model.{name}": value for name, value in _open_clip(second)}
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)
    return path


def _clip(encoder: Any) -> Iterator[tuple[str, Any]]:
    return ((name.removeprefix("text_model."), value) for name, value in encoder.state_dict().items())


def _open_clip(encoder: Any) -> Iterator[tuple[str, Any]]:
    told = dict(_clip(encoder))
    yield "token_embedding.weight", told["embeddings.token_embedding.weight"]
    yield "positional_embedding", told["embeddings.position_embedding.weight"]
    yield "text_projection", told["text_projection.weight"].T
    for kind in ("weight", "bias"):
        yield f"ln_final.{kind}", told[f"final_layer_norm.{kind}"]
        for number in range(encoder.config.num_hidden_layers):
            ours, theirs = f"encoder.layers.{number}", f"transformer.resblocks.{number}"
            one = [told[f"{ours}.self_attn.{part}_proj.{kind}"] for part in "qkv"]
            yield f"{theirs}.attn.in_proj_{kind}", torch.cat(one)
            for name, other in OPEN_CLIP.items():
                yield f"{theirs}.{other}.{kind}", told[f"{ours}.{name}.{kind}"]


def _unet(unet: Any) -> Iterator[tuple[str, str]]:
    yield "time_embedding.linear_1", "time_embed.0"
    yield "time_embedding.linear_2", "time_embed.2"
    yield "add_embedding.linear_1", "label_emb.0.0"
    yield "add_embedding.linear_2", "label_emb.0.2"
    yield "conv_in", "input_blocks.0.0"
    yield "conv_norm_out", "out.0"
    yield "conv_out", "out.2"
    layers = unet.config.layers_per_block
    for number, block in enumerate(unet.down_blocks):
        first = number * (layers + 1) + 1
        yield from _layers(f"down_blocks.{number}", block, "input_blocks.{}", first)
        yield f"down_blocks.{number}.downsamplers.0.conv", f"input_blocks.{first + layers}.0.op"
    for number, block in enumerate(unet.up_blocks):
        first = number * (layers + 1)
        yield from _layers(f"up_blocks.{number}", block, "output_blocks.{}", first)
        place = 2 if hasattr(block, "attentions") else 1
        yield f"up_blocks.{number}.upsamplers.0.conv", f"output_blocks.{first + layers}.{place}.conv"
    yield from _resnet("mid_block.resnets.0", "middle_block.0")
    yield "mid_block.attentions.0", "middle_block.1"
    yield from _resnet("mid_block.resnets.1", "middle_block.2")


def _layers(ours: str, block: Any, theirs: str, first: int) -> Iterator[tuple[str, str]]:
    for number in range(len(block.resnets)):
        place = theirs.format(first + number)
        yield from _resnet(f"{ours}.resnets.{number}", f"{place}.0")
        yield f"{ours}.attentions.{number}", f"{place}.1"


def _resnet(ours: str, theirs: str) -> Iterator[tuple[str, str]]:
    return ((f"{ours}.{name}", f"{theirs}.{other}") for name, other in RESNET.items())


def _vae(vae: Any) -> Iterator[tuple[str, str]]:
    yield "quant_conv", "quant_conv"
    yield "post_quant_conv", "post_quant_conv"
    count = len(vae.config.block_out_channels)
    for half, way, sampler in (("encoder", "down", "downsample"), ("decoder", "up", "upsample")):
        for name in ("conv_in", "conv_out"):
            yield f"{half}.{name}", f"{half}.{name}"
        yield f"{half}.conv_norm_out", f"{half}.norm_out"
        for number in range(count):
            place = f"{half}.{way}.{number if half == 'encoder' else count - 1 - number}"
            block = f"{half}.{way}_blocks.{number}"
            for layer in range(vae.config.layers_per_block + (half == "decoder")):
                yield f"{block}.resnets.{layer}.conv_shortcut", f"{place}.block.{layer}.nin_shortcut"
                yield f"{block}.resnets.{layer}", f"{place}.block.{layer}"
            yield f"{block}.{sampler}rs.0.conv", f"{place}.{sampler}.conv"
        yield f"{half}.mid_block.resnets.0", f"{half}.mid.block_1"
        yield f"{half}.mid_block.resnets.1", f"{half}.mid.block_2"
        for name, other in ATTENTION.items():
            yield f"{half}.mid_block.attentions.0.{name}", f"{half}.mid.attn_1.{other}"
