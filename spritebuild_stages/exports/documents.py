"""The JSON files of an export, the same bytes for the same content; knows nothing of what they say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from spritebuild_stages.exports import texts


def write(path: Path, content: dict[str, Any], compact: bool = False) -> None:
    """Write a file that is not there yet, in a folder that may have to be made; keys stay in their order.

    Raises StageError if another file of the export has that name.
    """
    indent, separators = (None, (",", ":")) if compact else (1, (",", ": "))
    text = json.dumps(content, indent=indent, separators=separators, ensure_ascii=False, allow_nan=False)
    texts.write(path, text + "\n")
