"""Pulls what the lock of a fresh clone names, where a roster says that this is all; loads no spritefile and no graph.

To load and resolve a spritefile takes longer than to fetch a thousand sprites. Whatever is unusual is left to the pull
that does so.
"""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path

from spritebuild import idle, lock
from spritebuild.alone import alone
from spritebuild.digest import of_file
from spritebuild.errors import LockError
from spritebuild.shared import rosters
from spritebuild.shared.store import Shared, path_of
from spritebuild.shared.transport import at
from spritebuild.status import Status
from spritebuild.store import Store

URL = "SPRITEBUILD_STORE"
TABLE = re.compile(r"^\[store\][ \t]*\n(.*?)(?=^[ \t]*\[|\Z)", re.MULTILINE | re.DOTALL)
LONGEST = 4096  # characters of the table: it is read before anything checked the spritefile


def pull(path: Path, status: Status) -> Shared | None:
    """Bring what the lock names into the store of a clone that has none yet; None where that might not be all."""
    root = path.absolute().parent.resolve()
    url = _url(path)
    if url is None or (idle.state_folder(root) / "traces.db").exists():
        return None
    try:
        key = rosters.key(root, path.name)
        entries = lock.read(root)
    except (OSError, LockError):
        return None
    with alone(root, status):
        store = Store(idle.state_folder(root))
        store.fresh_scratch()
        shared = Shared(at(url, root), url, store)
        try:
            roster = shared.place.read(path_of("rosters", key))
        except FileNotFoundError:
            return None
        if not rosters.holds(roster, root):
            return None
        wanted = {entry.digest for entry in entries.values() if entry.digest and not _installed(root, entry)}
        shared.fetch(wanted)
        return shared if shared.faults or all(map(store.has, wanted)) else None


def _url(path: Path) -> str | None:
    """Where the shared store is, if the spritefile says it in a plain table, or the environment does."""
    if (said := os.environ.get(URL)) is not None:
        return said or None
    found = TABLE.findall(path.read_text("utf-8", "replace"))
    if len(found) != 1 or len(found[0]) > LONGEST or '"""' in found[0] or "'''" in found[0]:
        return None
    try:
        url = tomllib.loads(found[0]).get("url")
    except (tomllib.TOMLDecodeError, RecursionError):
        return None
    return url if type(url) is str and url and "@" not in url else None


def _installed(root: Path, entry: lock.Entry) -> bool:
    places = {f"{root}/{place}": name for place, name in entry.installed().items()}
    try:
        return bool(places) and all(map(os.path.exists, places)) and all(of_file(p) == n for p, n in places.items())
    except OSError:
        return False
