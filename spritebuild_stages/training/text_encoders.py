"""What a diffusion model is told: captions or labels, as tokens and as embeddings; knows no pictures.

Captions are read by a CLIP text model, whose byte-pair vocabulary is learned from them unless there is one already.
Labels are read by the same class with no layer: a table of embeddings, one a label, whose order means nothing. Both
are saved as any other tokenizer and text encoder are, so what knows a pipeline can read them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spritebuild.errors import UsageError
from spritebuild_stages import _pretrained
from spritebuild_stages._draws import hashed
from spritebuild_stages._weights import inspect_folder

if TYPE_CHECKING:
    import torch

    from spritebuild_stages.datasets.artifact import Example
    from spritebuild_stages.training.diffusion_params import TrainDiffusionParams

START, END, UNKNOWN = "<|startoftext|>", "<|endoftext|>", "<|unknown|>"
WORD_END = "</w>"
TABLE_BYTES = 1 << 30  # embeddings of a frozen encoder are kept up to here, and computed again and again beyond
CHUNK = 64
HIDDEN_FACTOR = 3  # of the text model's MLP

Texts = list[tuple[str, ...]]


# What is said of a picture


def captions(examples: Sequence[Example]) -> Texts:
    """The captions of every picture. Raises UsageError for pictures of which nothing is said."""
    silent = [example.name for example in examples if not any(caption.strip() for caption in example.captions)]
    if silent:
        raise UsageError(
            f"{len(silent)} of {len(examples)} pictures have no caption",
            facts=[("", name) for name in silent[:5]],
            hint='a text-to-image model learns from captions: write them, or set conditioning = "labels"',
        )
    return [example.captions for example in examples]


def labels(examples: Sequence[Example], names: Sequence[str]) -> tuple[Texts, dict[str, list[str]]]:
    """What each picture's labels are called in a prompt, such as "goblin, left", and all the values of each label.

    A value that two labels have is called by both, as in "facing=left". Raises UsageError for labels nobody has.
    """
    values = {name: sorted({_plain(e.labels[name]) for e in examples if name in e.labels}) for name in names}
    if missing := [name for name in names if not values[name]]:
        there = sorted({name for example in examples for name in example.labels})
        raise UsageError(
            f"no picture of the dataset has a label {missing[0]!r}",
            facts=[("labels there", ", ".join(there) or "none")],
            hint="set labels to those that the dataset has",
        )
    bare = [example for example in examples if not any(name in example.labels for name in names)]
    if bare:
        raise UsageError(
            f"{len(bare)} of {len(examples)} pictures have none of the labels {', '.join(names)}",
            facts=[("", example.name) for example in bare[:5]],
        )
    shared = Counter(value for found in values.values() for value in found)
    called = {
        (name, value): value if shared[value] == 1 else f"{name}={value}"
        for name, found in values.items()
        for value in found
    }
    for word in called.values():
        if "," in word or "<|" in word:
            raise UsageError(f"the label {word!r} has a comma or <| in it", hint="labels are told apart by commas")
    texts: Texts = [
        (", ".join(called[name, _plain(example.labels[name])] for name in names if name in example.labels),)
        for example in examples
    ]
    return texts, {name: [called[name, value] for value in found] for name, found in values.items()}


def _plain(value: str) -> str:
    return " ".join(value.lower().split())


# Tokenizers


def learned_tokenizer(texts: Texts, size: int, length: int) -> Any:
    """CLIP's tokenizer with byte pairs of these texts, `size` tokens at most; equal texts, equal tokens."""
    from tokenizers import pre_tokenizers
    from transformers import CLIPTokenizer

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    words: Counter[str] = Counter()
    plain = CLIPTokenizer().backend_tokenizer
    for text in (text for variants in texts for text in variants):
        words.update(word for word, _ in plain.pre_tokenizer.pre_tokenize_str(plain.normalizer.normalize_str(text)))
    base = [START, END, *letters, *(letter + WORD_END for letter in letters)]
    merges = learned_merges(words, size - len(base))
    vocabulary = [*base, *dict.fromkeys(first + second for first, second in merges)]
    return CLIPTokenizer(
        vocab={token: place for place, token in enumerate(vocabulary)}, merges=merges, model_max_length=length
    )


def learned_merges(words: Mapping[str, int], most: int) -> list[tuple[str, str]]:
    """Pairs of pieces to be joined, the most frequent first, ties in the order of the alphabet; none that is unique.

    Source: Sennrich et al. 2016 (arXiv 1508.07909), algorithm 1. The library's trainer numbers tokens in an order of
    chance, and so would give other bytes each time.
    """
    pieces = [[*word[:-1], word[-1] + WORD_END] for word in words]
    counts = list(words.values())
    totals: Counter[tuple[str, str]] = Counter()
    places: defaultdict[tuple[str, str], set[int]] = defaultdict(set)

    def tally(index: int, sign: int) -> None:
        for pair in pairwise(pieces[index]):
            totals[pair] += sign * counts[index]
            places[pair].add(index)
            if not totals[pair]:
                del totals[pair], places[pair]

    for index in range(len(pieces)):
        tally(index, 1)
    merges: list[tuple[str, str]] = []
    while totals and len(merges) < most:
        highest = max(totals.values())
        if highest < 2:
            break
        best = min(pair for pair, count in totals.items() if count == highest)
        merges.append(best)
        for index in list(places[best]):
            tally(index, -1)
            pieces[index] = _joined(pieces[index], best)
            tally(index, 1)
    return merges


def _joined(pieces: Sequence[str], pair: tuple[str, str]) -> list[str]:
    found: list[str] = []
    for piece in pieces:
        if found and (found[-1], piece) == pair:
            found[-1] += piece
        else:
            found.append(piece)
    return found


def label_tokenizer(values: Mapping[str, Sequence[str]]) -> Any:
    """One token for each label, between commas, whatever the case and spaces. It keeps all labels by their names."""
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    words = [START, END, UNKNOWN, *(word for found in values.values() for word in found)]
    tokenizer = Tokenizer(models.WordLevel({word: place for place, word in enumerate(words)}, unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.Replace(Regex(r"\s+"), " "),
            normalizers.Replace(Regex(" ?, ?"), ","),
            normalizers.Strip(),
            normalizers.Lowercase(),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Split(",", "removed")
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{START} $A {END}", special_tokens=[(START, 0), (END, 1)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=START,
        eos_token=END,
        pad_token=END,
        unk_token=UNKNOWN,
        model_max_length=len(values) + 2,
        labels={name: list(found) for name, found in values.items()},
    )


def loaded(folder: Path) -> tuple[Any, Any]:
    """Tokenizer and text encoder of a pipeline. Raises UsageError for a text encoder other than CLIP's."""
    import transformers

    inspect_folder(folder)
    _pretrained.config(folder / "text_encoder", "CLIPTextModel")
    named = _pretrained.read_json(folder / "model_index.json").get("tokenizer")
    kind = getattr(transformers, str(named[1]), None) if isinstance(named, list) else None
    if kind is None or not hasattr(kind, "from_pretrained"):
        raise UsageError("the pipeline has no tokenizer", where=str(folder))
    tokenizer = kind.from_pretrained(str(folder / "tokenizer"), local_files_only=True)
    encoder = _pretrained.load(transformers.CLIPTextModel, folder / "text_encoder")
    tokenizer.model_max_length = min(tokenizer.model_max_length, encoder.config.max_position_embeddings)
    return tokenizer, encoder


def check_known(tokenizer: Any, values: Mapping[str, Sequence[str]], where: Path) -> None:
    """Raise UsageError unless a tokenizer of labels knows all of these."""
    known = tokenizer.get_vocab()
    unknown = [word for found in values.values() for word in found if word not in known]
    if not tokenizer.init_kwargs.get("labels") or unknown:
        raise UsageError(
            f"init knows no label {unknown[0]!r}" if unknown else "init was not trained on labels",
            where=str(where),
            hint="a model of labels goes on with those that it began with",
        )


# Encoders


def fresh(params: TrainDiffusionParams, tokenizer: Any, labeled: bool) -> Any:
    """An untrained text encoder for a tokenizer's tokens."""
    import torch
    from transformers import CLIPTextConfig, CLIPTextModel

    torch.manual_seed(hashed(params.seed, "text encoder"))
    encoder = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=params.text_width,
            projection_dim=params.text_width,
            intermediate_size=HIDDEN_FACTOR * params.text_width,
            num_hidden_layers=0 if labeled else params.text_layers,
            num_attention_heads=1 if labeled else params.text_heads,
            max_position_embeddings=tokenizer.model_max_length,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    if labeled:  # labels have no order
        torch.nn.init.zeros_(encoder.embeddings.position_embedding.weight)
    return encoder


def tokens(tokenizer: Any, texts: Sequence[str]) -> torch.Tensor:
    """Token ids (N, length), as the pipelines make them."""
    length = tokenizer.model_max_length
    found: torch.Tensor = tokenizer(
        list(texts), padding="max_length", max_length=length, truncation=True, return_tensors="pt"
    ).input_ids
    return found


class Conditions:
    """All that is said of a dataset's pictures, embedded: once, if the encoder is frozen. Text 0 is the empty one."""

    def __init__(self, tokenizer: Any, encoder: Any, texts: Texts, trained: bool, device: str) -> None:
        self.tokenizer, self.encoder, self.trained, self._device = tokenizer, encoder, trained, device
        distinct = ["", *sorted({text for variants in texts for text in variants} - {""})]
        place = {text: index for index, text in enumerate(distinct)}
        self.variants = [[place[text] for text in variants] for variants in texts]
        self._ids = tokens(tokenizer, distinct)
        self._texts = distinct
        self._table: torch.Tensor | None = None

    def cut(self) -> list[str]:
        """The texts that are longer than the encoder reads."""
        length = self.tokenizer.model_max_length
        whole = self.tokenizer(self._texts, padding=False, truncation=False).input_ids
        return [text for text, ids in zip(self._texts, whole, strict=True) if len(ids) > length]

    def embeddings(self, rows: Sequence[int]) -> torch.Tensor:
        """(B, length, width) of the texts of these numbers."""
        import torch

        if self.trained:
            return self._encoded(rows)
        with torch.no_grad(), torch.autocast(self._device.partition(":")[0], enabled=False):
            if self._table is None and self._fits():
                parts = [range(start, start + CHUNK) for start in range(0, len(self._ids), CHUNK)]
                self._table = torch.cat([self._encoded(part[: len(self._ids) - part.start]).cpu() for part in parts])
            return self._encoded(rows) if self._table is None else self._table[list(rows)].to(self._device)

    def _encoded(self, rows: Sequence[int]) -> torch.Tensor:
        found: torch.Tensor = self.encoder(self._ids[list(rows)].to(self._device))[0]
        return found

    def _fits(self) -> bool:
        return bool(4 * self._ids.numel() * self.encoder.config.hidden_size <= TABLE_BYTES)
