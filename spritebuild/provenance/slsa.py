"""Provenance as an in-toto statement (v1) with SLSA's predicate (provenance v1): what was made, of what, by what.

Everything in it follows from the repository and the installed files: the same ones give the same statement.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from spritebuild import __version__, digest, lock
from spritebuild.licences import Component
from spritebuild.licences.flow import without_credentials
from spritebuild.pinned import pins
from spritebuild.pinned.pins import Pin
from spritebuild.project import Project
from spritebuild.provenance.release import Release

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://slsa.dev/provenance/v1"
PACKAGE = "pkg:pypi/spritebuild"  # a package URL, which is a URI
BUILD_TYPE = f"{PACKAGE}?build-type=v1#docs/licences.md"
Descriptor = dict[str, Any]


def statement(release: Release, builder: str | None, when: str | None) -> dict[str, Any]:
    """The statement; `builder` is the URI of whoever vouches for it, `when` the time that it gives, if any."""
    project = release.project
    spritefile = [_file(file.path, file.digest) for file in project.spritefile.files]
    metadata = {"metadata": {"finishedOn": when}} if when else {}
    return {
        "_type": STATEMENT,
        "subject": [_file(path, sha256) for path, sha256 in release.files().items()],
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {
                    "project": project.spritefile.project.name,
                    "targets": sorted(release.patterns) or ["*"],
                    "spritefile": spritefile,
                },
                "internalParameters": {"platforms": _platforms(release)},
                "resolvedDependencies": [*spritefile, *_dependencies(release)],
            },
            "runDetails": {
                "builder": {"id": builder or f"{PACKAGE}@{__version__}", "version": {"spritebuild": __version__}},
                **metadata,
                "byproducts": [_file(path, digest.of_file(project.root / path)) for path in lock.files(project.root)],
            },
        },
    }


def _file(name: str, sha256: str) -> Descriptor:
    return {"name": name, "digest": {"sha256": sha256}}


def _platforms(release: Release) -> dict[str, Any]:
    """The classes of machine that the locked bytes were made on, by the names that the lock has for them."""
    entries = release.project.known.lock
    used = {entries[path].platform for path in release.assets}
    known = lock.read_platforms(release.project.root)
    return {name: dict(known[name]) for name in sorted(used & known.keys())}


def _dependencies(release: Release) -> Iterator[Descriptor]:
    """Every pinned file, file of the project and stage of its own that the assets come from."""
    project = release.project
    components = {component.name: component for component in release.components}
    sources = {ref.name: ref.digest for action in release.actions for _, ref in action.sources()}
    for name in sorted(sources):
        if name in project.pins:
            yield from _pinned(project, project.pins[name], components[name])
        else:
            yield _file(name, sources[name])
    if project.stages.own is not None:
        for kind in sorted({action.stage for action in release.actions}):
            path = project.stages.own / f"{kind.replace('-', '_')}.py"
            if path.is_file():
                yield _file(path.relative_to(project.root).as_posix(), project.known.files.of(path))


def _pinned(project: Project, pin: Pin, component: Component) -> Iterator[Descriptor]:
    """The files of a pin, with where they can be had."""
    kind, _, rest = component.source.partition(":")
    said = {"pin": pin.name, "source": component.source, "licence": component.licence}
    below = f"{rest}/" if kind == "path" else f"{pin.name}/"
    base = None
    if kind == "builtin":
        base = f"{PACKAGE}@{__version__}#spritebuild_stages/models/{quote(rest)}"
    elif kind in ("dvc", "git"):
        base = _repository(project, pin)
    elif kind == "url":
        base = rest.split(" ")[0].rstrip("/")
    for path, _, sha256 in pin.files:
        name = f"{below}{path}" if pin.folder else below.removesuffix("/")
        uri = {} if base is None else {"uri": f"{base}/{quote(path)}" if pin.folder else base}
        yield {**_file(name, sha256), **uri, "annotations": said}


def _repository(project: Project, pin: Pin) -> str | None:
    """A path in a git repository at the revision that was pinned, as SPDX writes it; None where it is no URL."""
    import yaml

    origin = yaml.safe_load(pins.path_of(project.root, pin.name).read_bytes())["deps"][0]
    repository, revision, path = str(origin["repo"]["url"]), str(origin["repo"]["rev_lock"]), str(origin["path"])
    if "://" not in repository:
        return None
    return f"git+{quote(without_credentials(repository), safe=':/')}@{quote(revision)}#{quote(path)}"
