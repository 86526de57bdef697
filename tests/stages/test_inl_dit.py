"""The integrator transformer by itself: what a fresh one computes, what its parts do, what it is as a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("diffusers")

import peft
import torch

from spritebuild_stages.diffusion.inl_dit import (
    SIZES,
    InlBlock,
    InlTransformer2DModel,
    check_heads,
    parameter_count,
    sized,
)
from spritebuild_stages.diffusion.inl_layers import Attention, Integrator, positions, rotated

pytestmark = pytest.mark.diffusion

TINY = {
    "in_channels": 4,
    "patch_size": 2,
    "num_layers": 2,
    "hidden_size": 32,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "cross_attention_dim": 12,
}


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def tiny(*, worn: bool = True, **changes: Any) -> InlTransformer2DModel:
    """A small model; a worn one has no weight that is zero by design."""
    model = InlTransformer2DModel(**{**TINY, **changes})
    if worn:
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.2)
    return model


def given(height: int = 8, width: int = 8) -> dict[str, Any]:
    return {
        "hidden_states": torch.randn(2, 4, height, width),
        "timestep": torch.tensor([3, 900]),
        "encoder_hidden_states": torch.randn(2, 5, 12),
    }


def test_fresh_block_is_the_identity() -> None:
    block = InlBlock(32, 4, 2, 12, "swiglu", 128, 2)
    x = torch.randn(2, 6, 32)
    out, gate = block(x, torch.randn(2, 5, 12), torch.randn(2, 32), positions(2, 3, 8))
    assert torch.equal(out, x)
    assert 0 < gate < 1


def test_fresh_model_predicts_nothing_and_a_worn_one_something() -> None:
    assert not tiny(worn=False)(**given()).sample.any()
    assert tiny()(**given()).sample.std() > 0.1


def test_prediction_depends_on_text_and_time() -> None:
    model, inputs = tiny(), given()
    base = model(**inputs).sample
    assert not torch.allclose(model(**{**inputs, "encoder_hidden_states": torch.randn(2, 5, 12)}).sample, base)
    assert not torch.allclose(model(**{**inputs, "timestep": 3}).sample[1], base[1])
    assert torch.allclose(model(**{**inputs, "timestep": 3}).sample[0], base[0], atol=1e-5)


def test_latents_of_other_sizes_are_taken_and_those_off_the_patches_refused() -> None:
    model = tiny()
    assert model(**given(4, 6)).sample.shape == (2, 4, 4, 6)
    with pytest.raises(ValueError, match="latents of 7x8 are not divisible by the patch size 2"):
        model(**given(8, 7))


def test_patches_come_back_where_they_were() -> None:
    model = tiny(worn=False)
    torch.nn.init.constant_(model.out.bias, 0)
    with torch.no_grad():
        model.out.bias.copy_(torch.arange(16.0))
    sample = model(**given(4, 6)).sample
    for y in range(4):
        for x in range(6):
            assert sample[0, :, y, x].tolist() == [(y % 2 * 2 + x % 2) * 4 + channel for channel in range(4)]


# Positions


def test_rotation_turns_products_by_the_distance_of_two_places_alone() -> None:
    head, columns = 8, 6
    rotary = positions(5, columns, head)
    query, key = torch.randn(1, 1, 1, head), torch.randn(1, 1, 1, head)

    def product(one: tuple[int, int], other: tuple[int, int]) -> float:
        turned = [
            rotated(value, tuple(part[[y * columns + x]] for part in rotary))
            for value, (y, x) in ((query, one), (key, other))
        ]
        return float((turned[0] * turned[1]).sum())

    base = product((0, 1), (2, 0))
    assert product((2, 5), (4, 4)) == pytest.approx(base, abs=1e-5)
    assert product((0, 1), (1, 0)) != pytest.approx(base, abs=1e-3)
    assert product((0, 1), (2, 1)) != pytest.approx(base, abs=1e-3)


# Attention


def test_heads_of_queries_share_the_keys_of_their_group() -> None:
    attention = Attention(32, 12, 4, 2)
    assert attention.to_k.out_features == attention.to_v.out_features == 16
    x, context = torch.randn(1, 3, 32), torch.randn(1, 5, 12)
    query = attention.to_q(x).view(1, 3, 4, 8)
    key, value = attention.to_k(context).view(1, 5, 2, 8), attention.to_v(context).view(1, 5, 2, 8)
    heads = []
    for head in range(4):
        weights = (query[0, :, head] @ key[0, :, head // 2].T / 8**0.5).softmax(-1)
        heads.append(weights @ value[0, :, head // 2])
    expected = attention.to_out[0](torch.cat(heads, -1))
    assert torch.allclose(attention(x, context)[0], expected, atol=1e-6)


@pytest.mark.parametrize(
    ("sizes", "fault"),
    [
        ((32, 6, 4), "6 heads cannot share 4 heads of keys"),
        ((32, 6, 2), "a width of 32 cannot be divided among 6 heads"),
        ((24, 4, 2), "heads of 6 channels have no pairs for both axes"),
    ],
)
def test_heads_that_do_not_fit_are_refused(sizes: tuple[int, int, int], fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        check_heads(*sizes)
    with pytest.raises(ValueError, match=fault):
        tiny(**dict(zip(("hidden_size", "num_attention_heads", "num_key_value_heads"), sizes, strict=True)))


# Integrators: M004-03, a gate that is computed and does something, and says nothing of work that it would save


def test_integrator_adds_what_it_refines_in_proportion_to_its_gate() -> None:
    integrator = Integrator(16, 1)
    x = torch.randn(2, 3, 16)
    out, gate = integrator(x)
    expected = x + integrator.gate(x) * integrator.refine(x)
    assert torch.allclose(out, expected)
    assert float(gate) == pytest.approx(integrator.gate(x).mean().item())
    torch.nn.init.constant_(integrator.gate[2].bias, -1e4)
    closed, gate = integrator(x)
    assert torch.equal(closed, x)
    assert gate == 0


def test_more_iterations_compute_something_else_with_the_same_weights() -> None:
    inputs, models = given(), {count: tiny(integrator_iterations=count) for count in (1, 3)}
    models[3].load_state_dict(models[1].state_dict())
    once, thrice = (model(**inputs) for model in models.values())
    assert not torch.allclose(once.sample, thrice.sample)
    assert 0 < once.gate < 1


def test_without_integrators_there_is_no_gate_and_a_smaller_model() -> None:
    model = tiny(integrator=False)
    assert model(**given()).gate is None
    assert not any("integrator" in name for name, _ in model.named_parameters())


# As a model of diffusers


def test_saved_model_computes_the_same_after_loading(tmp_path: Path) -> None:
    model, inputs = tiny(mlp="gelu", condition_dropout=0.1), given()
    model.save_pretrained(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "diffusion_pytorch_model.safetensors"]
    again = InlTransformer2DModel.from_pretrained(tmp_path)
    assert torch.equal(again(**inputs).sample, model(**inputs).sample)
    assert again.config.condition_dropout == 0.1


def test_gradient_checkpointing_changes_no_gradient() -> None:
    model, inputs = tiny(), given()

    def gradients() -> list[torch.Tensor]:
        model.zero_grad()
        model(**inputs).sample.square().mean().backward()
        return [parameter.grad.clone() for parameter in model.parameters()]

    plain = gradients()
    model.enable_gradient_checkpointing()
    assert all(torch.equal(one, other) for one, other in zip(plain, gradients(), strict=True))


def test_every_weight_is_learned_in_every_type() -> None:
    model, inputs = tiny(), given()
    for dtype in (None, torch.bfloat16):
        model.zero_grad()
        with torch.autocast("cpu", dtype or torch.bfloat16, enabled=dtype is not None):
            model(**inputs).sample.float().square().mean().backward()
        assert all(parameter.grad is not None and parameter.grad.any() for parameter in model.parameters())


def test_adapters_find_the_attention() -> None:
    model, inputs = tiny(), given()
    base = model(**inputs).sample
    targets = ["to_q", "to_k", "to_v", "to_out.0"]
    model.add_adapter(peft.LoraConfig(r=2, target_modules=targets, init_lora_weights=False))
    assert not torch.allclose(model(**inputs).sample, base)


# Sizes


def test_parameters_are_counted_without_memory_and_truly() -> None:
    assert parameter_count(**TINY) == sum(parameter.numel() for parameter in tiny().parameters())


def test_sizes_grow_and_have_these_parameters() -> None:
    config = {"in_channels": 4, "patch_size": 2, "cross_attention_dim": 768}
    counts = {size: parameter_count(**sized(size), **config) for size in SIZES}
    millions = {size: round(count / 1e6, 1) for size, count in counts.items()}
    assert millions == {"nano": 5.8, "S": 43.5, "B": 169.1, "L": 586.2, "XL": 862.6, "XXL": 1744.8}
    for size in SIZES.values():
        check_heads(size.width, size.heads, size.kv_heads)
