"""Models that are known by name: facts in catalogue.toml, each with where it was read. Nothing is fetched from here."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

Entry = Mapping[str, Any]


@cache
def entries() -> Mapping[str, Entry]:
    """Every entry by name. A key that an entry lacks is not known of it."""
    text = (Path(__file__).parent / "catalogue.toml").read_text("utf-8")
    return dict(tomllib.loads(text)["known"])


def find(name: str | None, address: str | None) -> Entry | None:
    """The entry of a name, or else the one whose source a repository's or file's address is."""
    if name is not None:
        return entries().get(name)
    if address is None:
        return None
    wanted = _parts(address)
    for entry in entries().values():
        host, _, path = str(entry.get("source", "")).partition(":")
        own = (host, *path.lower().split("/"))
        if path and host in HOSTS and wanted[: len(own)] == own:
            return entry
    return None


def of(declaration: Any) -> Entry:
    """What is known of what a table declares: by the name that it says, or by its source. Empty if nothing is."""
    repository = getattr(declaration, "git", None) or getattr(declaration, "dvc", None)
    address = repository.repo if repository else getattr(declaration, "url", None)
    return find(getattr(declaration, "known", None), address) or {}


HOSTS = {"huggingface": ("huggingface.co", "hf.co"), "github": ("github.com",)}


def _parts(address: str) -> tuple[str, ...]:
    """The host, by its name here, and the parts of the path of an address: (huggingface, segmind, tiny-sd)."""
    try:
        split = urlsplit(address)
    except ValueError:
        return ()
    host = next((name for name, hosts in HOSTS.items() if split.hostname in hosts), "")
    return (host, *(part.lower().removesuffix(".git") for part in split.path.split("/") if part))
