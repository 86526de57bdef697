"""Garbage collection of a project's store: removes blobs that nothing declared now needs."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Mapping

from spritebuild.project import Project
from spritebuild.store import Damaged


def collect(project: Project, age: float, *, dry_run: bool) -> tuple[int, int, int]:
    """Remove blobs older than `age` seconds that are not needed; returns blobs and bytes removed, and blobs kept.

    Needed are the locked bytes of every asset and its baselines, what stands in for them, and every output of an action
    as it is declared now. The caller holds the build lock.
    """
    store = project.store
    needed = {name for entry in project.known.lock.values() for name in entry.needed()}
    needed |= set(project.known.stand_ins.values()) | set(store.installed().values())
    current = set(store.described_keys().values())
    for key, outputs in store.all_outputs():
        if key in current:
            needed |= set(outputs.values())
    for tree in [name for name in needed if name.endswith("/")]:
        needed.add(tree[:-1])
        with contextlib.suppress(Damaged):
            needed |= set(store.listed(tree).values())
    old = time.time() - age
    removed: set[str] = set()
    size = kept = 0
    for name, entry in store.blobs():
        stat = entry.stat()
        if name in needed or stat.st_mtime > old:
            kept += 1
            continue
        removed.add(name)
        size += stat.st_size
    if not dry_run:
        store.forget([key for key, outputs in store.all_outputs() if removed & _files(outputs)])
        store.commit()  # first the traces, so that none ever names a blob that is gone
        for name in removed:
            store.remove(name)
        shutil.rmtree(store.root / "quarantine", ignore_errors=True)
        for folder in store.root.glob("folders/*"):
            if f"{folder.name}/" not in needed:
                shutil.rmtree(folder, ignore_errors=True)
        for folder in store.root.glob("kept/*"):
            if folder.stat().st_mtime <= old:
                shutil.rmtree(folder, ignore_errors=True)
        pinned = {pin.digest for pin in project.pins.values()}
        for folder in store.root.glob("models/*"):
            if folder.name not in pinned:
                shutil.rmtree(folder, ignore_errors=True)
    return len(removed), size, kept


def _files(outputs: Mapping[str, str]) -> set[str]:
    return {name.rstrip("/") for name in outputs.values()}
