"""Where a table's content comes from, as a spritefile says it: in exactly one way of those that the table knows."""

import difflib
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from spritebuild.pinned import catalogue
from spritebuild.pinned.families import FAMILIES
from spritebuild.spritefile.fields import Table, Texts

WAYS = ("builtin", "path", "dvc", "git", "url", "folder", "dataset", "colors", "file", "sprites")
SCHEMES = ("https", "http", "s3", "gs", "ssh", "webdav", "webdavs")


def one_of(*keys: str, licence: bool = False) -> ConfigDict:
    """The configuration of a table that needs exactly one of these keys."""

    def extend(schema: dict[str, Any]) -> None:
        schema["oneOf"] = [{"required": [key]} for key in keys]
        if licence:
            schema["properties"]["license"] = {**schema["properties"]["licence"], "title": "License"}

    return ConfigDict(json_schema_extra=extend)


def _address(text: str) -> str:
    try:
        split = urlsplit(text)
        host = split.hostname
    except ValueError:
        raise ValueError("is not an address") from None
    if split.scheme not in SCHEMES or not host or any(c.isspace() for c in text):
        raise ValueError(f"url begins with {', '.join(f'{scheme}://' for scheme in SCHEMES[:5])} or {SCHEMES[5]}://")
    return _without_password(text)


def _without_password(text: str) -> str:
    try:
        secret = "://" in text and urlsplit(text).password is not None
    except ValueError:
        raise ValueError("is not an address") from None
    if secret:
        raise ValueError("a password does not belong into a spritefile: pins are committed")
    return text


def _known(name: str) -> str:
    if name not in catalogue.entries():
        near = difflib.get_close_matches(name, catalogue.entries(), 3, 0.4)
        raise ValueError(f'no model is known as "{name}"' + (f": did you mean {' or '.join(near)}?" if near else ""))
    return name


def _below(paths: tuple[str, ...]) -> tuple[str, ...]:
    for path in paths:
        if path.startswith("/") or "\\" in path or not path or ".." in path.split("/"):
            raise ValueError(f"files are below the address: {path!r} is not")
    if len(set(paths)) < len(paths):
        raise ValueError("files holds every file once")
    return paths


Address = Annotated[str, AfterValidator(_address)]
Files = Annotated[Texts, AfterValidator(_below)]
Family = Literal["sd15", "sd2", "sdxl", "sd3", "flux", "pixart"]
Known = Annotated[str, AfterValidator(_known)]
assert set(Family.__args__) == set(FAMILIES)  # type: ignore[attr-defined]


class Dvc(Table):
    """A file or folder that DVC tracks in a Git repository."""

    repo: str = Field(min_length=1, description="The Git repository: a URL or a path.")
    path: str = Field(min_length=1, description="The tracked file or folder in that repository.")
    rev: str | None = Field(None, min_length=1, description="The branch, tag or commit; the default branch if unsaid.")


class Git(Table):
    """A file or folder of a Git repository, with its Git-LFS objects; also one that DVC tracks there."""

    repo: Annotated[str, AfterValidator(_without_password)] = Field(
        min_length=1, description="The Git repository: a URL or a path."
    )
    path: str = Field(".", min_length=1, description="The file or folder in that repository; all of it if unsaid.")
    rev: str | None = Field(
        None, min_length=1, description="The branch, tag or whole commit; the default branch if unsaid."
    )
    include: Texts = Field((), description="Globs of the files in that folder to take; all of them if unsaid.")
    exclude: Texts = Field((), description='Globs of those among them to leave out, such as "*.bin".')


class Origin(Table):
    """A table that says where its content comes from, in exactly one way."""

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        ways = [key for key in WAYS if key in type(self).model_fields]
        said = [key for key in ways if getattr(self, key) is not None]
        if len(said) != 1:
            raise ValueError(f"say one of {', '.join(ways)}" + (f", not {' and '.join(said)}" if said else ""))
        if getattr(self, "files", ()) and getattr(self, "url", None) is None:
            raise ValueError("files is for what is below an address: say url")
        return self
