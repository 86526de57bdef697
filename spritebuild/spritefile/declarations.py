"""What a spritefile may say: its tables and keys as frozen models; knows no file and no other declaration."""

from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    AliasChoices,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from spritebuild.spritefile.fields import (
    Color,
    Count,
    FinishEntry,
    Matrix,
    Name,
    Number,
    RelativePath,
    Seed,
    Size,
    Table,
    Texts,
    gpl_file,
    palette_file,
    specifier,
    weights_file,
)
from spritebuild.spritefile.origins import Address, Dvc, Family, Files, Git, Known, Origin, one_of
from spritebuild.spritefile.rules import Budget, Check, Cost, Policy, Rank, SharedStore
from spritebuild.spritefile.tiers import Profile, Quality, Tiers

VERSION = 1

Batch = Literal[1, 2, 4, 8, 16, 32]


def _lora_use(value: Any) -> Any:
    if isinstance(value, str):
        return {"name": value}
    if not isinstance(value, dict | LoraUse):
        raise ValueError("a lora is a name, or a table of name and weight")
    return value


def _whole(value: Any) -> Any:
    # A Literal takes true for 1 and 4.0 for 4.
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError("batch must be one of 1, 2, 4, 8, 16, 32")
    return value


def _version(value: int) -> int:
    if value != VERSION:
        raise ValueError(f"version must be {VERSION}, the only one that this spritebuild reads")
    return value


def _only_trained(table: Any, *keys: str) -> None:
    said = [key for key in keys if getattr(table, key) is not None]
    if said and table.dataset is None:
        raise ValueError(f"{said[0]} is for what is trained here: say dataset")


class Project(Table):
    """The project as a whole."""

    name: str = Field(min_length=1, max_length=200, description="The name of the game or the art set.")
    assets: RelativePath = Field("assets", description="The folder that finished pictures are installed in.")
    seed: Seed = Field(0, description="The seed of every sprite that names none.")
    stages: RelativePath | None = Field(None, description="The folder of your own stages.")
    requires: Annotated[str, AfterValidator(specifier)] | None = Field(
        None, description='The versions of spritebuild that may build this project, such as ">=0.1,<0.3".'
    )
    quality: Quality = Field("standard", description="The quality of every sprite whose look names none.")
    profile: Profile | None = Field(
        None, description="What machines the models are meant for: dtype, batch, memory and kernels where none is said."
    )
    mark: bool = Field(
        True, description="Whether installed PNGs say in their metadata (XMP) that a trained model made them."
    )


class Model(Origin):
    """The weights of an image model, pinned or trained here."""

    model_config = one_of("builtin", "path", "dvc", "git", "url", "folder", "file", "dataset", licence=True)

    builtin: str | None = Field(None, description="The name of a model that comes with spritebuild.")
    path: RelativePath | None = Field(None, description="A folder of weights in the project; with config, a file.")
    dvc: Dvc | None = Field(None, description="A folder of weights that DVC fetches.")
    git: Git | None = Field(None, description="A folder of weights in a Git repository, Git-LFS objects included.")
    url: Address | None = Field(None, description="The address of a folder of weights; over http, with files.")
    files: Files = Field((), description="The files below the address to take.")
    folder: str | None = Field(None, min_length=1, description="A folder of weights outside the project.")
    file: Annotated[str, AfterValidator(weights_file)] | None = Field(
        None, description="A checkpoint outside the project: one .safetensors file, which needs config."
    )
    config: RelativePath | None = Field(
        None,
        description="The folder in the project that says what a checkpoint is, a model of one .safetensors file: a "
        "model's folder as diffusers writes it, without its weights.",
    )
    dataset: str | None = Field(None, description="The dataset that the model is trained on.")
    vae: str | None = Field(None, description="The trained autoencoder whose latents the model makes.")
    init: str | None = Field(None, description="The model whose weights the training begins with.")
    text: str | None = Field(None, description="The model whose text encoder is used as it is.")
    train: dict[str, Any] | None = Field(None, description="Params of the stage train-diffusion.")
    licence: str | None = Field(
        None,
        validation_alias=AliasChoices("licence", "license"),
        description="The licence of the weights, as an SPDX identifier or in words.",
    )
    family: Family | None = Field(
        None, description="What LoRAs fit it; checked against its weights, which tell it of most models."
    )
    known: Known | None = Field(None, description="Its name in the catalogue, where its source does not tell it.")
    triggers: Texts = Field((), description="Words that wake what the model was trained for.")
    dtype: Literal["fp32", "bf16", "fp16"] = Field("fp32", description="The number format of the weights.")
    batch: Annotated[Batch, BeforeValidator(_whole, json_schema_input_type=Batch)] = Field(
        4, description="How many pictures are made at a time. Part of what the bytes depend on."
    )
    memory: Literal["full", "sliced", "tiled"] = Field(
        "full", description="What is computed in pieces, to take less memory. Part of what the bytes depend on."
    )
    kernels: Literal["plain", "channels-last", "compiled"] = Field(
        "plain", description="How the device computes. Part of what the bytes depend on."
    )

    @model_validator(mode="after")
    def _trained(self) -> Self:
        _only_trained(self, "vae", "init", "text", "train")
        if self.dataset is not None and self.vae is None:
            raise ValueError('a model that is trained needs vae = "...", a table of [vaes]')
        if self.config is not None:
            if said := [key for key in ("builtin", "folder", "files", "dataset") if getattr(self, key)]:
                raise ValueError(f"config is for a checkpoint, which is one file: take out {said[0]}")
            if self.path is not None:
                weights_file(self.path)
            return self
        if self.file is not None or (self.path or "").endswith(".safetensors"):
            raise ValueError("a model of one file needs config, the folder that says what its parts are")
        if self.url is not None and self.url.startswith("http") and not self.files:
            raise ValueError("http does not list folders: say files, or config if it is one file")
        return self


class Vae(Table):
    """An autoencoder that is trained here: what a model's latents are."""

    dataset: str = Field(description="The dataset that it is trained on.")
    init: str | None = Field(None, description="The model whose autoencoder the training begins with.")
    features: str | None = Field(None, description="The image model by whose features pictures are compared as well.")
    train: dict[str, Any] | None = Field(None, description="Params of the stage train-vae.")


class Lora(Origin):
    """A small set of weights that changes a model's style, pinned or trained here."""

    model_config = one_of("path", "dvc", "git", "url", "file", "dataset", licence=True)

    path: Annotated[RelativePath, AfterValidator(weights_file)] | None = Field(
        None, description="A .safetensors file in the project."
    )
    dvc: Dvc | None = Field(None, description="A .safetensors file that DVC fetches.")
    git: Git | None = Field(None, description="A .safetensors file in a Git repository, by Git-LFS or not.")
    url: Address | None = Field(None, description="The address of a .safetensors file.")
    file: Annotated[str, AfterValidator(weights_file)] | None = Field(
        None, description="A .safetensors file outside the project."
    )
    dataset: str | None = Field(None, description="The dataset that the lora is trained on.")
    model: str | None = Field(None, description="The model that the lora is trained for.")
    train: dict[str, Any] | None = Field(None, description="Params of the stage train-lora.")
    save: Annotated[RelativePath, AfterValidator(weights_file)] | None = Field(
        None, description="Where in the project the trained lora is put, to be committed."
    )
    licence: str | None = Field(
        None,
        validation_alias=AliasChoices("licence", "license"),
        description="The licence of the weights, as an SPDX identifier or in words.",
    )
    family: Family | None = Field(
        None, description="What models it fits; checked against its weights, which tell it of most LoRAs."
    )
    known: Known | None = Field(None, description="Its name in the catalogue, where its source does not tell it.")
    triggers: Texts = Field(
        (), description="Words that wake what the lora was trained for; its dataset's, if it is trained here."
    )
    strength: Number = Field(1.0, description="The weight of a use that says none.")
    version: str | None = Field(None, description="Which of several trainings this is, in your words.")
    description: str | None = Field(None, description="What the lora is for.")

    @model_validator(mode="after")
    def _trained(self) -> Self:
        _only_trained(self, "model", "train", "save")
        if self.dataset is not None and self.model is None:
            raise ValueError('a lora that is trained needs model = "..."')
        if self.git is not None:
            weights_file(self.git.path)
        return self


class Dataset(Origin):
    """Pictures with captions, to train on. Any other key is a param of the stage dataset."""

    model_config = ConfigDict(**one_of("path", "dvc", "git", "url", "folder", licence=True), extra="allow")

    path: RelativePath | None = Field(None, description="A folder of pictures and captions in the project.")
    dvc: Dvc | None = Field(None, description="A folder of pictures and captions that DVC fetches.")
    git: Git | None = Field(None, description="A folder of pictures and captions in a Git repository.")
    url: Address | None = Field(None, description="The address of such a folder; over http, with files.")
    files: Files = Field((), description="The files below the address to take.")
    folder: str | None = Field(None, min_length=1, description="A folder of pictures and captions outside the project.")
    include: Texts = Field(("**/*.png", "**/*.txt"), description="Globs of the files in that folder to take.")
    exclude: Texts = Field((), description="Globs of those among them to leave out.")
    corrections: RelativePath | None = Field(None, description="A TOML or JSON file of captions by path, which win.")
    licence: str | None = Field(
        None,
        validation_alias=AliasChoices("licence", "license"),
        description="The licence of the pictures, as an SPDX identifier or in words.",
    )


class Palette(Origin):
    """The colors that a picture may have: said, read from a file, or chosen once for all sprites that share them."""

    model_config = one_of("colors", "file", "sprites")

    colors: Annotated[tuple[Color, ...], Strict(False), Field(min_length=1, max_length=256)] | None = Field(
        None, description='The colors, as "#rgb" or "#rrggbb".'
    )
    file: Annotated[RelativePath, AfterValidator(palette_file)] | None = Field(
        None, description="A .hex, .gpl, .pal, .act, .png or .aseprite file in the project."
    )
    sprites: Annotated[Texts, Field(min_length=1)] | None = Field(
        None, description="The sprites whose pictures, before it is applied to them, the palette is chosen from."
    )
    most: Annotated[int, Field(ge=1, le=256)] | None = Field(
        None, description="The number of colors that are chosen at most; the era's if unsaid, or else 16."
    )
    era: Literal["8bit", "16bit", "32bit"] | None = Field(
        None, description="The machines whose limits the chosen colors keep: how many, and how many bits each."
    )
    save: Annotated[RelativePath, AfterValidator(gpl_file)] | None = Field(
        None, description="Where in the project the chosen palette is put, to be committed."
    )

    @model_validator(mode="after")
    def _chosen(self) -> Self:
        said = [key for key in ("most", "era", "save") if getattr(self, key) is not None]
        if said and self.sprites is None:
            raise ValueError(f"{said[0]} is for a palette that is chosen here: say sprites")
        return self


class LoraUse(Table):
    """A lora at a weight."""

    name: str = Field(description="The name of a declared lora.")
    weight: Number | None = Field(None, description="How strongly the lora acts; the lora's strength if unsaid.")


LoraUses = Annotated[
    tuple[Annotated[LoraUse, BeforeValidator(_lora_use, json_schema_input_type=LoraUse | str)], ...], Strict(False)
]


class Look(Table):
    """How a picture is made and finished; what is None is not said here."""

    model: str | None = Field(None, description="The name of a declared model.")
    negative: str | None = Field(None, description="What the picture should not show.")
    scheduler: str | None = Field(None, description="The sampler of the diffusion model.")
    steps: Count | None = Field(None, description="The number of denoising steps.")
    guidance: Annotated[Number, Field(ge=0)] | None = Field(
        None, description="How closely the picture follows the prompt (classifier-free guidance scale)."
    )
    size: Size | None = Field(None, description="The width and height in pixels of the picture before it is finished.")
    loras: LoraUses | None = Field(None, description="The loras in use: names, or tables of name and weight.")
    finish: Annotated[tuple[FinishEntry, ...], Strict(False)] | None = Field(
        None, description="What is done with the picture, in this order."
    )
    stage: str | None = Field(None, description='The kind of the stage that makes the picture; "generate" if unsaid.')
    params: dict[str, Any] | None = Field(None, description="Params for a stage of your own.")
    tile: Literal["x", "y", "both"] | None = Field(
        None, description="Along which sides the picture meets itself without a seam."
    )
    quality: Quality | None = Field(None, description="The quality; the project's if unsaid.")
    art: dict[str, Any] | None = Field(
        None,
        description="What `check --art` judges by: limits, and references, globs of files that show what is normal.",
    )
    check: Check | None = Field(None, description="What may differ from the approved baseline before `check` fails.")
    rank: Rank | None = Field(None, description="How candidates are ranked, as a suggestion to whoever picks one.")


class Style(Look):
    """A look that sprites share."""

    extends: str | None = Field(None, description="The style that this one takes every unsaid key from.")
    prompt: str | None = Field(None, description="The prompt around a sprite's own, which stands for {prompt}.")


class Sprite(Look):
    """A picture, or one for every seed and every combination of its matrix."""

    model_config = ConfigDict(
        json_schema_extra={
            "allOf": [{"not": {"required": [key, "seeds"]}} for key in ("seed", "candidates")],
        }
    )

    style: str | None = Field(None, description="The style; keys said here win over it.")
    prompt: str | None = Field(None, description="What the picture shows.")
    seed: Seed | None = Field(None, description="The seed of the noise; the project's if unsaid.")
    seeds: Annotated[tuple[Seed, ...], Strict(False), Field(min_length=1)] | None = Field(
        None, description="One picture for each of these seeds."
    )
    candidates: Annotated[int, Field(ge=2, le=64)] | None = Field(
        None, description="How many pictures to choose from are made, of this seed and those that follow it."
    )
    matrix: Matrix | None = Field(None, description="One picture for every combination of these axes' values.")
    name: Annotated[str, Field(min_length=1)] | None = Field(
        None, description='The name of each picture, such as "{name}-{color}".'
    )
    category: RelativePath | None = Field(None, description="The folder below the assets folder.")

    # A field's validator runs only where the field is said: a model's would cost every one of 10,000 sprites.
    @field_validator("candidates")
    @classmethod
    def _candidates_or_seeds(cls, candidates: int, info: ValidationInfo) -> int:
        if info.data.get("seeds") is not None:
            raise ValueError("say candidates or seeds, not both: candidates are of seed and those that follow it")
        return candidates

    @field_validator("seeds")
    @classmethod
    def _seed_or_seeds(cls, seeds: tuple[int, ...], info: ValidationInfo) -> tuple[int, ...]:
        if info.data.get("seed") is not None:
            raise ValueError("say seed or seeds, not both")
        if len(set(seeds)) < len(seeds):
            raise ValueError("seeds holds every seed once")
        return seeds


class Sheet(Table):
    """Sprites packed into a picture with a table of their places. Any other key is a param of the stage sheet."""

    model_config = ConfigDict(extra="allow")

    sprites: Annotated[tuple[str, ...], Strict(False), Field(min_length=1)] = Field(
        description="The names of the sprites; * and ? stand for any text and any character."
    )
    companions: dict[Name, str] = Field(
        {},
        description="Further pictures of each frame that are packed alike, by what they are: "
        '{ normal = "{name}-normal" } takes the sprite that is called so.',
    )
    category: RelativePath | None = Field(None, description="The folder below the assets folder.")
    check: Check | None = Field(None, description="What may differ from the approved baseline before `check` fails.")


class Export(Table):
    """Sheets as a game engine loads them. Any other key is an option of that kind of export."""

    model_config = ConfigDict(extra="allow")

    kind: str = Field(description="What the files are for.")
    sheets: Annotated[Texts, Field(min_length=1)] = Field(
        ("*",), description="The names of the sheets; * and ? stand for any text and any character."
    )
    path: RelativePath = Field(description="The folder of the project that the files are put into, and no others.")


class Classifier(Table):
    """A network that reads a label of pictures, to measure what is generated."""

    dataset: str = Field(description="The dataset that it is trained on, with labels.")
    train: dict[str, Any] | None = Field(None, description="Params of the stage train-classifier.")


class Evaluation(Table):
    """Sprites beside the set that they should look like, in numbers. Any other key is a param of the stage evaluate."""

    model_config = ConfigDict(extra="allow")

    sprites: Annotated[tuple[str, ...], Strict(False), Field(min_length=1)] = Field(
        description="The names of the sprites; * and ? stand for any text and any character."
    )
    baseline: Texts = Field((), description="The same sprites, in the same order, as they were without a lora.")
    dataset: str = Field(description="The dataset that they should look like.")
    classifier: str | None = Field(None, description="The classifier that reads what they show.")
    label: str | None = Field(None, description="The axis of the sprites' matrix that says what each shows.")
    color: str | None = Field(None, description="The axis of the sprites' matrix that says the color of each.")
    save: RelativePath | None = Field(None, description="The folder of the project that the report is put into.")


class Tables(Table):
    """What an included file may hold."""

    model_config = ConfigDict(title="included spritefile")

    datasets: dict[Name, Dataset] = Field({}, description="Pictures to train on by name.")
    vaes: dict[Name, Vae] = Field({}, description="Autoencoders that are trained here by name.")
    classifiers: dict[Name, Classifier] = Field({}, description="Networks that read labels of pictures by name.")
    evaluations: dict[Name, Evaluation] = Field({}, description="Measurements of sprites by name.")
    models: dict[Name, Model] = Field({}, description="Image models by name.")
    loras: dict[Name, Lora] = Field({}, description="Loras by name.")
    palettes: dict[Name, Palette] = Field({}, description="Palettes by name.")
    styles: dict[Name, Style] = Field({}, description="Styles by name.")
    sprites: dict[Name, Sprite] = Field({}, description="Sprites by name.")
    sheets: dict[Name, Sheet] = Field({}, description="Sheets by name.")
    exports: dict[Name, Export] = Field({}, description="What game engines load, by name.")


class Document(Tables):
    """What a spritefile may hold."""

    # That [project] is there is checked apart, so that all other faults are found without it.
    model_config = ConfigDict(title="spritefile.toml", json_schema_extra={"required": ["project"]})

    version: Annotated[int, AfterValidator(_version), WithJsonSchema({"const": VERSION, "type": "integer"})] = Field(
        VERSION, description="The version of the spritefile format."
    )
    include: Texts = Field((), description="Globs of further files, relative to this one.")
    project: Project | None = Field(None, description="The project as a whole.")
    policy: Policy = Field(Policy.model_construct(), description="What the project refuses, whatever is declared.")
    check: Check = Field(
        Check.model_construct(),
        description="What may differ from an approved baseline before `check` fails; styles and sprites may vary it.",
    )
    store: SharedStore | None = Field(None, description="The store that a team shares.")
    quality: Tiers = Field(Tiers(), description="What the qualities draft and high mean.")
    cost: Cost = Field(Cost(), description="What `plan --cost` goes by, beside what was measured.")
    budget: Budget = Field(Budget(), description="What one build may cost.")


DECLARED: dict[str, type[Table]] = {
    "datasets": Dataset,
    "vaes": Vae,
    "classifiers": Classifier,
    "evaluations": Evaluation,
    "models": Model,
    "loras": Lora,
    "palettes": Palette,
    "styles": Style,
    "sprites": Sprite,
    "sheets": Sheet,
    "exports": Export,
}


class TomlSchema(GenerateJsonSchema):
    """A schema for TOML: it has no null, and a name that is not a name is wrong."""

    def dict_schema(self, schema: core_schema.DictSchema) -> JsonSchemaValue:
        generated = super().dict_schema(schema)
        return {**generated, "additionalProperties": False} if "patternProperties" in generated else generated

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        if schema.get("default", ...) is None:
            return self.generate_inner(schema["schema"])
        return super().default_schema(schema)


def json_schema() -> dict[str, Any]:
    """The JSON schema (draft 2020-12) of spritefile.toml, for editors."""
    schema = Document.model_json_schema(schema_generator=TomlSchema)
    return {"$schema": TomlSchema.schema_dialect, **schema}
