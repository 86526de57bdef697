"""Vocabularies that are learned, tables of labels, and the embeddings of what is said. Tiny text encoders."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch
from training_runs import example

from spritebuild_stages.training import text_encoders
from spritebuild_stages.training.diffusion_params import TrainDiffusionParams

pytestmark = pytest.mark.diffusion


def test_vocabulary_is_learned_from_the_captions_whatever_their_order() -> None:
    texts = [("crimson potion", "a crimson flask"), ("crimson potion",), ("potion of speed",)]
    tokenizer = text_encoders.learned_tokenizer(texts, 540, 12)
    assert tokenizer.tokenize("Crimson POTION") == ["crimson</w>", "potion</w>"]
    assert tokenizer.convert_ids_to_tokens(tokenizer("potion").input_ids) == [
        "<|startoftext|>",
        "potion</w>",
        "<|endoftext|>",
    ]
    assert "".join(tokenizer.tokenize("Žorđ")) != ""  # bytes are always known
    assert len(tokenizer) <= 540
    other = text_encoders.learned_tokenizer(texts[::-1], 540, 12)
    assert other.get_vocab() == tokenizer.get_vocab()
    assert len(text_encoders.learned_tokenizer(texts, 520, 12)) == 520


def test_merges_join_the_most_frequent_pair_first_and_none_that_is_unique() -> None:
    merges = text_encoders.learned_merges({"low": 5, "lower": 2, "x": 1}, 99)
    assert merges[0] == ("l", "o")
    assert ("lo", "w</w>") in merges
    assert merges == text_encoders.learned_merges({"x": 1, "lower": 2, "low": 5}, 99)
    assert text_encoders.learned_merges({"ab": 1}, 99) == []


def test_values_of_two_labels_are_called_by_both() -> None:
    examples = [
        example(0, labels={"class": "Fire  Orc", "direction": "left", "hand": "left"}),
        example(1, labels={"class": "elf"}),
    ]
    texts, values = text_encoders.labels(examples, ("class", "direction", "hand"))
    assert texts == [("fire orc, direction=left, hand=left",), ("elf",)]
    tokenizer = text_encoders.label_tokenizer(values)
    assert tokenizer.convert_ids_to_tokens(tokenizer("Fire orc,hand=LEFT").input_ids)[1:3] == ["fire orc", "hand=left"]


def test_embeddings_of_a_frozen_encoder_are_those_that_it_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [("red block", "a red box"), ("blue block",)]
    params = TrainDiffusionParams(steps=1, text_width=16, text_layers=1)
    tokenizer = text_encoders.learned_tokenizer(texts, 540, 8)
    encoder = text_encoders.fresh(params, tokenizer, labeled=False)
    said = text_encoders.Conditions(tokenizer, encoder, texts, trained=False, device="cpu")
    assert said.variants == [[3, 1], [2]]
    table = said.embeddings([1, 0, 3])
    monkeypatch.setattr(text_encoders, "TABLE_BYTES", 0)
    said = text_encoders.Conditions(tokenizer, encoder, texts, trained=False, device="cpu")
    assert torch.allclose(said.embeddings([1, 0, 3]), table, atol=1e-6)
