"""The text files of an export, each written once; knows nothing of what they say."""

from __future__ import annotations

from pathlib import Path

from spritebuild.errors import StageError


def write(path: Path, text: str) -> None:
    """Write a file that is not there yet, in a folder that may have to be made; lines end in a line feed everywhere.

    Raises StageError if another file of the export has that name.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except FileExistsError as error:
        message = f"two files of an export would be called {path.name}"
        raise StageError(message, hint="give the sheet another name") from error


def number(value: float, digits: int = 7) -> str:
    """A number in the fewest decimal digits, rounded to `digits` behind the point, never with an exponent."""
    text = f"{value:.{digits}f}".rstrip("0").rstrip(".")
    return "0" if text in {"", "-0"} else text
