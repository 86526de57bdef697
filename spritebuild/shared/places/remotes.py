"""What DVC's configuration says of a remote, as far as it is said plainly; knows DVC's files and none of its code."""

from __future__ import annotations

import configparser
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

PLAIN = frozenset("\"'%$\\,#;")  # what would have to be read as DVC's own parser does


def remote(url: str, root: Path) -> dict[str, str] | None:
    """The settings of `remote://NAME`, or of a URL by itself; None where only DVC can tell."""
    named = urlsplit(url)
    if named.scheme != "remote":
        return {"url": url}
    if named.path.strip("/") or sys.platform == "darwin":  # where the files have other places
        return None
    section = f"'remote \"{named.netloc}\"'"
    found: dict[str, str] = {}
    try:
        for file in _files(root):
            parser = configparser.RawConfigParser(interpolation=None, delimiters=("=",), comment_prefixes=("#",))
            parser.read_string(file.read_text("utf-8"))
            if parser.has_section(section):
                found |= dict(parser.items(section))
    except (configparser.Error, OSError, UnicodeDecodeError):
        return None
    if "url" not in found or any(PLAIN & {*value} or "\n" in value for value in found.values()):
        return None
    return None if urlsplit(found["url"]).scheme == "remote" else found


def _files(root: Path) -> Iterator[Path]:
    """DVC's configuration files, each of which wins over those before it."""
    places = [
        *(Path(folder, "dvc") for folder in reversed(os.environ.get("XDG_CONFIG_DIRS", "/etc/xdg").split(":"))),
        Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config", "dvc"),
    ]
    if own := os.environ.get("DVC_SYSTEM_CONFIG_DIR"):
        places[:-1] = [Path(own)]
    if own := os.environ.get("DVC_GLOBAL_CONFIG_DIR"):
        places[-1] = Path(own)
    for file in [*(place / "config" for place in places), root / ".dvc/config", root / ".dvc/config.local"]:
        if file.is_file():
            yield file
