"""What is known of the rest of a project, where only a part of it is built; knows not how it is found (`front.py`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from spritebuild import digest, idle
from spritebuild.lines import Lines


@dataclass(frozen=True)
class Part:
    """What is known of the rest of a project, and what is recorded of the part when it is built."""

    seen: idle.Seen
    head: dict[str, Any]
    lines: Lines
    texts: Mapping[str, bytes]  # the files of declarations that changed, by path
    read: Mapping[str, digest.Signature]  # what changed, as it was when it was read, by absolute path
    rows: Mapping[str, Any]  # what is recorded of the part
    before: Mapping[str, Any]  # what was
