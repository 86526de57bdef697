"""Sheets: frames side by side on pages, in cells or packed, and where each of them is; knows no game engine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from spritebuild.errors import StageError
from spritebuild.stage import BoundAction, Context, Folder, Inputs, Notes, Outputs, Params, Stage
from spritebuild_stages.sheets import selection
from spritebuild_stages.sheets.layout import Direction, Rectangle
from spritebuild_stages.sheets.selection import Anchor

if TYPE_CHECKING:
    from spritebuild_stages.sheets.describing import Placed
    from spritebuild_stages.sheets.frames import Cut, Shared
    from spritebuild_stages.sheets.layout import Grid, Layout
    from spritebuild_stages.sheets.packing import Packed

Value = TypeVar("Value")


def _several(patterns: str | tuple[str, ...]) -> tuple[str, ...]:
    return (patterns,) if isinstance(patterns, str) else patterns


def _called(name: str) -> str:
    """A name that may be part of a file's name, and of a text of any format."""
    if not 1 <= len(name) <= 100 or not name.isprintable() or name != name.strip() or set(name) & set('/\\:*?"<>|'):
        raise ValueError('a name has up to 100 printable characters, and none of / \\ : * ? " < > |')
    return name


Length = Annotated[int, Field(ge=0, le=16384)]
Coordinate = Annotated[float, Field(ge=-65536, le=65536)]
Milliseconds = Annotated[int, Field(ge=1, le=65535)]
Pivot = Anchor | tuple[Coordinate, Coordinate]
Called = Annotated[str, AfterValidator(_called)]
Patterns = Annotated[str | tuple[str, ...], AfterValidator(_several), Field(min_length=1)]


class Part(BaseModel):
    """Something that is said of frames; `frames` are names, or globs of them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    frames: Patterns


class TagOf(Part):
    """An animation of frames that are side by side in the sheet's order."""

    direction: Direction = "forward"
    repeat: int = Field(0, ge=0, le=32767, description="How often it is shown; 0 is forever.")
    duration: Milliseconds | None = Field(None, description="Of each of its frames that `durations` does not name.")


class SliceOf(Part):
    """A named part of frames: nine-slice with a center, or with margins at its left, top, right and bottom."""

    bounds: tuple[Length, Length, Length, Length] | None = Field(None, description="x, y, width, height; none: all.")
    center: tuple[Length, Length, Length, Length] | None = Field(None, description="Likewise, from the bounds' corner.")
    margins: Length | tuple[Length, Length, Length, Length] | None = Field(None, description="Around the center.")

    @model_validator(mode="after")
    def _one_center(self) -> SliceOf:
        if self.center is not None and self.margins is not None:
            raise ValueError("say center or margins, not both")
        return self

    @property
    def around(self) -> Rectangle | None:
        """The margins at the left, top, right and bottom."""
        return (self.margins,) * 4 if isinstance(self.margins, int) else self.margins


class SheetParams(Params):
    names: tuple[str, ...] = Field(min_length=1, description="The frames' names, one each, all different.")
    name: str = Field(pattern=r"^[^/\\.][^/\\]*$", description="The sheet's name, which its files begin with.")
    layout: Literal["grid", "packed"] = Field("grid", description="In cells of one size, or packed closely.")
    columns: int | None = Field(None, ge=1, le=4096, description="Cells in a row; none: as square as can be.")
    spacing: int = Field(0, ge=0, le=1024, description="Transparent pixels between frames.")
    margin: int = Field(0, ge=0, le=1024, description="Transparent pixels around the whole.")
    extrude: int = Field(0, ge=0, le=16, description="How often a frame's outermost pixels are repeated around it.")
    trim: bool | None = Field(None, description="Keep only what is visible of a frame; none: if packed.")
    duplicates: bool | None = Field(None, description="Store equal frames once; none: if packed.")
    mirrors: bool = Field(False, description="Store a frame and its left-right mirror image once.")
    power_of_two: bool = Field(False, description="Make the sides of a page powers of two.")
    max_size: int = Field(4096, ge=1, le=16384, description="The longest side of a page.")
    multipack: bool = Field(False, description="Make several pages of what does not fit one.")
    format: Literal["hash", "array"] = Field("hash", description="Frames as an object by name, or as a list.")
    pivot: Pivot | None = Field(None, description="Where a frame is held: an anchor, or x and y in pixels.")
    pivots: dict[str, Pivot] = Field({}, description="The same by frames' names or globs.")
    duration: Milliseconds = Field(100, description="How long a frame is shown.")
    durations: dict[str, Milliseconds] = Field({}, description="The same by frames' names or globs.")
    tags: dict[Called, TagOf] = Field({}, description="Animations by their names.")
    slices: dict[Called, SliceOf] = Field({}, description="Parts of frames by their names.")
    mark: bool = Field(False, description="Say in every PNG (XMP) that a trained model made it.")

    @field_validator("names")
    @classmethod
    def _all_different(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if twice := [name for name, count in Counter(names).items() if count > 1]:
            raise ValueError(f"more than one frame is named {twice[0]!r}")
        return names

    @field_validator("columns")
    @classmethod
    def _columns_of_a_grid(cls, columns: int | None, info: ValidationInfo) -> int | None:
        if columns is not None and info.data.get("layout") == "packed":
            raise ValueError("a packed sheet has no columns")
        return columns

    @field_validator("pivots", "durations")
    @classmethod
    def _of_frames(cls, values: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        if names := info.data.get("names"):
            selection.told(values, names)
        return values

    @field_validator("tags", "slices")
    @classmethod
    def _told_apart(cls, named: dict[str, Any]) -> dict[str, Any]:
        """File systems exist that do not tell A from a, and exports call files by these names."""
        seen: dict[str, str] = {}
        for name in named:
            if (other := seen.setdefault(name.casefold(), name)) != name:
                raise ValueError(f"{other!r} and {name!r} differ in case alone")
        return named

    @field_validator("tags")
    @classmethod
    def _side_by_side(cls, tags: dict[str, TagOf], info: ValidationInfo) -> dict[str, TagOf]:
        _each(tags, info, lambda tag, names: selection.in_a_row(tag.frames, names), "tag")
        if "names" in info.data and "durations" in info.data:
            _durations(info.data["names"], 1, info.data["durations"], tags)
        return tags

    @field_validator("slices")
    @classmethod
    def _slices_of_frames(cls, slices: dict[str, SliceOf], info: ValidationInfo) -> dict[str, SliceOf]:
        return _each(slices, info, lambda part, names: selection.matching(part.frames, names), "slice")


def _each(
    said: dict[str, Value], info: ValidationInfo, check: Callable[[Value, Sequence[str]], object], word: str
) -> dict[str, Value]:
    """What is said by name, after a check of each against the frames' names, if these are valid."""
    for name, value in said.items():
        try:
            check(value, info.data.get("names", ()))
        except ValueError as error:
            if "names" in info.data:
                raise ValueError(f"{word} {name!r}: {error}") from None
    return said


class SheetInputs(Inputs):
    frames: tuple[Path, ...]
    companions: dict[str, Path] = Field({}, description="Pictures packed alike, by ROLE-NUMBER: normal-0 for frame 0.")


class SheetOutputs(Outputs):
    files: Folder = Path("files")
    layout: Path = Path("layout.json")


class Sheet(Stage):
    """Frames on pages, pages as PNGs, each with its companions and Aseprite's JSON; and the layout for exports.

    In a grid, cells are as large as the widest and the highest frame, and a smaller frame sits at the top left of its
    cell; with fewer frames than columns the sheet is narrower. A packed sheet has the same pixels in whatever order
    its frames are named.
    """

    version = 3
    Params = SheetParams
    Inputs = SheetInputs
    Outputs = SheetOutputs

    def run(self, action: BoundAction, context: Context) -> Notes:
        from spritebuild_stages.exports import aseprite
        from spritebuild_stages.sheets import describing, frames
        from spritebuild_stages.sheets import layout as layouts

        params: SheetParams = action.params
        packed = params.layout == "packed"
        if len(params.names) != len(action.inputs.frames):
            count = f"{len(params.names)} names for {len(action.inputs.frames)} frames"
            raise StageError(count, hint="give each frame one name")
        companions = frames.by_role(action.inputs.companions, len(params.names))
        cuts = frames.read(params.names, action.inputs.frames, companions, _or(params.trim, packed))
        shared = frames.share(cuts, _or(params.duplicates, packed), params.mirrors)
        spots, grid = _arranged(params, cuts, shared)
        placed = describing.Placed(shared, spots, grid)
        layout = _described(params, cuts, placed, list(companions))
        _paint(layout, cuts, placed, params.extrude, params.mark, action.outputs.files)
        aseprite.write_documents(layout, action.outputs.files, params.format)
        layouts.write(action.outputs.layout, layout)
        split = [tag.name for tag in layout.tags if len({frame.page for frame in layout.of_tag(tag)}) > 1]
        warnings = [f"tag {name!r} is on several pages, which Aseprite's JSON cannot say" for name in split]
        return {"frames": len(cuts), "stored": len(shared.stored), "pages": len(layout.pages), "warnings": warnings}


def _or(said: bool | None, default: bool) -> bool:
    return default if said is None else said


def _arranged(params: SheetParams, cuts: Sequence[Cut], shared: Shared) -> tuple[Packed, Grid | None]:
    """Where the stored pictures lie, in their order. Raises StageError where pages cannot hold them."""
    from spritebuild_stages.images import png
    from spritebuild_stages.sheets import cells, packing

    room = packing.Room(
        **params.model_dump(include={"margin", "spacing", "extrude", "max_size", "power_of_two", "multipack"})
    )
    limit = f"max_size {room.max_size}, {png.MAX_PIXELS / 1e6:.1f} Mpx"
    packed = params.layout == "packed"
    order = sorted(shared.stored, key=lambda number: params.names[number]) if packed else list(shared.stored)
    sizes = [cuts[number].box[2:] for number in order]
    place = {number: at for at, number in enumerate(order)}
    spans = [selection.in_a_row(tag.frames, params.names) for tag in params.tags.values()]
    tagged = [{place[shared.shown_by[number]] for number in range(first, last + 1)} for first, last in spans]
    try:
        if not packed:
            return cells.arrange(sizes, params.columns, room)
        found = packing.pack(sizes, room, tagged)
        return packing.Packed(found.pages, tuple(found.spots[place[number]] for number in shared.stored)), None
    except packing.TooLargeError as error:
        name = params.names[order[error.index]]
        facts = [("frame", _times(sizes[error.index])), ("page", _times(error.page)), ("limit", limit)]
        raise StageError(
            f"frame {name!r} does not fit a page", facts=facts, hint="trim or scale it, or say a larger max_size"
        ) from error
    except packing.TooManyError as error:
        facts = [("frames", str(len(sizes))), ("page", _times(error.page)), ("limit", limit)]
        remedy = "say fewer columns" if room.multipack else "say multipack = true"
        larger = " or a larger max_size" if error.page[0] * error.page[1] <= png.MAX_PIXELS else ""
        raise StageError("the frames do not fit one page", facts=facts, hint=remedy + larger) from error


def _times(size: Sequence[int]) -> str:
    return f"{size[0]}x{size[1]}"


def _described(params: SheetParams, cuts: Sequence[Cut], placed: Placed, roles: Sequence[str]) -> Layout:
    """The layout of everything. Raises StageError for a slice beyond its frame."""
    from spritebuild_stages.sheets import describing
    from spritebuild_stages.sheets.layout import Tag

    numbers = {name: number for number, name in enumerate(params.names)}
    spans = {name: selection.in_a_row(tag.frames, params.names) for name, tag in params.tags.items()}
    pivots = selection.told(params.pivots, params.names)
    if params.pivot is not None:
        pivots = dict.fromkeys(params.names, params.pivot) | pivots
    try:
        slices = [
            describing.slice_of(name, numbers[frame], cuts[numbers[frame]], part.bounds, part.center, part.around)
            for name, part in params.slices.items()
            for frame in selection.matching(part.frames, params.names)
        ]
    except ValueError as error:
        raise StageError(str(error), hint="give bounds within the frame, and a center within them") from error
    return describing.describe(
        params.name,
        roles,
        cuts,
        placed,
        durations=_durations(params.names, params.duration, params.durations, params.tags),
        pivots=pivots,
        tags=[
            Tag(name=name, first=spans[name][0], last=spans[name][1], direction=tag.direction, repeat=tag.repeat)
            for name, tag in params.tags.items()
        ],
        slices=slices,
    )


def _durations(names: tuple[str, ...], default: int, said: dict[str, int], tags: dict[str, TagOf]) -> dict[str, int]:
    """How long every frame is shown: as said of it, or of its tag. Raises ValueError where two tags disagree."""
    own = selection.told(said, names)
    tagged: dict[str, int] = {}
    for tag in tags.values():
        for frame in selection.matching(tag.frames, names) if tag.duration else ():
            if tagged.setdefault(frame, tag.duration or 0) != tag.duration and frame not in own:
                raise ValueError(f"{frame!r} is in tags of different durations: say it in durations")
    return dict.fromkeys(names, default) | tagged | own


def _paint(layout: Layout, cuts: Sequence[Cut], placed: Placed, extrude: int, mark: bool, folder: Path) -> None:
    """Write the pages and their companions into a folder, which is made."""
    from spritebuild_stages.images import png
    from spritebuild_stages.sheets.painting import paint

    folder.mkdir(parents=True, exist_ok=True)
    cell = placed.grid.cell if placed.grid else None
    for number, page in enumerate(layout.pages):
        spots = zip(placed.shared.stored, placed.packed.spots, strict=True)
        here = [(cuts[frame], spot) for frame, spot in spots if spot.page == number]
        pictures = [(cut.kept, spot.x, spot.y) for cut, spot in here]
        png.write(folder / page.image, paint((page.width, page.height), pictures, extrude, cell), mark=mark)
        for role, file in page.companions.items():
            pictures = [(cut.companions[role], spot.x, spot.y) for cut, spot in here]
            png.write(folder / file, paint((page.width, page.height), pictures, extrude, cell), mark=mark)
