"""What a project refuses, shares and pays, what may differ before a check fails, how candidates are ranked."""

from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, Strict, WithJsonSchema

from spritebuild.spritefile.fields import Name, Number, Table, Texts


class Policy(Table):
    """What the project refuses, whatever is declared."""

    allow: Annotated[Texts, Field(min_length=1)] | None = Field(
        None, description="The licences that models, loras and data may have, and no others; * stands for any text."
    )
    deny: Texts = Field((), description="Licences that they may not have; * stands for any text.")


def _without_password(url: str) -> str:
    if urlsplit(url).password is not None:
        raise ValueError("holds a password: leave it to the environment, or to DVC's own configuration")
    return url


class SharedStore(Table):
    """The store that a team shares."""

    url: Annotated[str, Field(min_length=1), AfterValidator(_without_password)] = Field(
        description="Where it is: a folder, an ssh://, webdavs://, s3:// or other URL that DVC has a plugin for, or "
        "remote://NAME for a remote of DVC's configuration. The environment's SPRITEBUILD_STORE wins over it."
    )
    push: Literal["never", "ask", "build"] = Field(
        "ask",
        description="Who writes to it: nobody, whoever runs `spritebuild push`, or every build that may write as well.",
    )
    traces: Literal["signed", "any", "none"] = Field(
        "signed", description="Which traces are taken from it: those that somebody trusted has signed, any, or none."
    )
    trusted: Texts = Field((), description="The public keys, from `spritebuild store-key`, whose traces are taken.")


def _pair(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else (value, value)


def _rising(value: tuple[float, float]) -> tuple[float, float]:
    if value[0] > value[1]:
        raise ValueError("the lower of the two comes first")
    return value


Amount = Annotated[Number, Field(ge=0)]
Pair = Annotated[
    tuple[Amount, Amount],
    Strict(False),
    BeforeValidator(_pair, json_schema_input_type=float | tuple[float, float]),
    AfterValidator(_rising),
]


class Rate(Table):
    """How long an action of a stage takes, as somebody says."""

    seconds: Pair = Field(description="Seconds of one action, or the least and the most: [1.2, 1.5].")
    device: str = Field("", description='The device, as it calls itself, such as "NVIDIA A100-SXM4-40GB"; for prices.')
    source: str = Field(min_length=1, description="Where that is from; `plan --cost` repeats it.")


class Cost(Table):
    """What `plan --cost` goes by, beside what was measured."""

    prices: str | None = Field(
        None, min_length=1, description="A file of the project with prices, instead of the table that comes along."
    )
    providers: dict[Name, dict[str, Pair]] = Field(
        {}, description='Prices of an hour by provider and GPU: studio = { "A100 40GB" = 0.9 }.'
    )
    rates: dict[Name, Rate] = Field({}, description="How long actions take, by stage; they win over measurements.")


class Budget(Table):
    """What one build may cost, as `plan --cost` estimates it; one that costs more is refused before it begins."""

    hours: Amount | None = Field(None, description="The most hours of accelerators.")
    price: Amount | None = Field(None, description="The most that these hours may cost, in the currency of the prices.")


Gate = Literal["ignore", "report", "fail"]


class Check(Table):
    """What may differ from the approved baseline before `check` fails; what is None is not said here."""

    allow: tuple[Literal["imperceptible", "flip", "shift", "recolor", "edit", "different"], ...] | None = Field(
        None, strict=False, description='The kinds of change that pass; "imperceptible" unless said.'
    )
    delta_e: Annotated[Number, Field(ge=0, le=100)] | None = Field(
        None, description="The color difference (CIEDE2000) that nobody sees; 2.3 unless said."
    )
    pixels: Annotated[int, Field(ge=0)] | None = Field(
        None, description="The most pixels of an edit that passes; 0 unless said."
    )
    worst: Annotated[Number, Field(ge=0, le=1)] | None = Field(
        None, description="The most that such an edit may change of any 8x8 pixels, as a share; 0.1 unless said."
    )
    new: Gate | None = Field(None, description='What a sprite that nobody approved yet is; "report" unless said.')
    deleted: Gate | None = Field(None, description='What a sprite that is gone is; "report" unless said.')
    duplicates: Gate | None = Field(
        None, description='What sprites are that show the same pixels; "ignore" unless said.'
    )
    flicker: Annotated[Number, Field(ge=0, le=1)] | None = Field(
        None, description="The most pixels of an animation, as a share, that blink for a single frame."
    )


def _scorer(entry: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(entry.get("stage"), str):
        raise ValueError('a scorer is a stage of your own: { stage = "..." }')
    return entry


Weight = Annotated[Number, Field(ge=0, le=1000)]


class Rank(Table):
    """How much each measure counts where candidates are ranked; 1 unless said, 0 for nothing."""

    style: Weight | None = Field(None, description="How much it counts that a candidate is within what `art` says.")
    palette: Weight | None = Field(None, description="How much it counts that its colors are in the palette.")
    orphans: Weight | None = Field(None, description="How much it counts that few of its pixels are orphans.")
    silhouette: Weight | None = Field(None, description="How much it counts that its silhouette is read on any ground.")
    prompt: Weight | None = Field(None, description="How much it counts what the scorer says.")
    scorer: (
        Annotated[
            dict[str, Any],
            AfterValidator(_scorer),
            WithJsonSchema({"type": "object", "required": ["stage"], "additionalProperties": True}),
        ]
        | None
    ) = Field(
        None,
        description="A stage of your own that scores a picture from 0 to 1, such as by its prompt: { stage, model, and "
        "its params }.",
    )
