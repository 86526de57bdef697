"""A bill of materials in CycloneDX 1.6: models with their cards, data, and the installed files, with their licences.

Everything in it follows from the repository and the installed files: the same ones give the same bill, serial number
included.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from spritebuild import __version__, digest
from spritebuild.graph import Action, Source
from spritebuild.licences import UNKNOWN, Component, combined
from spritebuild.licences.flow import HERE
from spritebuild.provenance.release import Release

SCHEMA = "http://cyclonedx.org/schema/bom-1.6.schema.json"
ROOT = "project"
TASKS = {"generate": "text-to-image", "matte": "image-segmentation", "upscale": "super-resolution"}  # by stage
TRAINED = {"vaes": "image-to-image", "classifiers": "image-classification", "loras": "text-to-image"}  # by table
Row = dict[str, Any]


def bill(release: Release, when: str | None) -> Row:
    """The bill of materials; `when` is the time that it gives, if any."""
    files = list(_files(release))
    tasks = _tasks(release.actions)
    components = [*(_component(release, each, tasks) for each in release.components), *files]
    metadata = {
        **({"timestamp": when} if when else {}),
        "tools": {"components": [{"type": "application", "name": "spritebuild", "version": __version__}]},
        "component": {"type": "application", "bom-ref": ROOT, "name": release.project.spritefile.project.name},
    }
    content = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": metadata,
        "components": components,
        "dependencies": list(_dependencies(release, files)),
    }
    serial = uuid.uuid5(uuid.NAMESPACE_URL, digest.of_value(content))
    return {"$schema": SCHEMA, **content, "serialNumber": f"urn:uuid:{serial}"}


# Files


def _files(release: Release) -> Iterator[Row]:
    made = {path: action for action in release.actions for _, path in action.installs}
    for asset, files in release.assets.items():
        licences = _licences(release.flow.licences(release.flow.assets[asset]))
        unknown = _unknown(release, release.flow.assets[asset])
        for path, sha256 in files.items():
            yield {
                "type": "file",
                "bom-ref": f"file:{path}",
                "name": path,
                "hashes": _hashes(sha256),
                **licences,
                "properties": [*_properties(recipe=made[asset].recipe), *unknown],
            }


def _unknown(release: Release, names: Collection[str]) -> list[Row]:
    """What a file comes from whose licence nobody said."""
    behind = release.flow.behind(names)
    return [
        row
        for component in release.components
        if component.name in behind and component.licence == UNKNOWN
        for row in _properties(**{"licence-unknown": component.name})
    ]


# Models and data


def _component(release: Release, component: Component, tasks: Mapping[str, str]) -> Row:
    declared = getattr(release.project.spritefile, component.kind)[component.title]
    pin = release.project.pins.get(component.name)
    training = component.training
    said: Row = {
        "type": "data" if component.kind == "datasets" else "machine-learning-model",
        "bom-ref": _ref(component.name),
        "name": component.title,
        **({"version": declared.version} if getattr(declared, "version", None) else {}),
        **({"description": declared.description} if getattr(declared, "description", None) else {}),
        **({"hashes": _hashes(pin.digest)} if pin is not None and not pin.folder else {}),
        **_licences(component.licences),
        "properties": _properties(
            source=component.source,
            **{"listing-sha256": pin.digest} if pin is not None and pin.folder else {},
            **{"recipe": training.recipe} if training is not None else {},
            **{"licence-unknown": component.name} if component.licence == UNKNOWN else {},
        ),
    }
    if component.kind == "datasets":
        return {**said, "data": [{"type": "dataset", "name": component.title}]}
    if pin is not None and pin.folder:
        said["components"] = [_part(component.name, path, sha256) for path, _, sha256 in pin.files]
    if component.source == HERE and training is not None:
        said["pedigree"] = _pedigree(release, component, training)
    return {**said, "modelCard": _card(component, tasks)}


def _card(component: Component, tasks: Mapping[str, str]) -> Row:
    """What is known of a model: its task, the data that it learned from, and what limits its use."""
    data = sorted(name for name in component.needs if name.startswith("datasets."))
    task = tasks.get(component.name) or TRAINED.get(component.kind)
    parameters: Row = {
        **({"approach": {"type": "supervised"}} if data else {}),
        **({"task": task} if task else {}),
        **({"architectureFamily": "diffusion"} if task == TASKS["generate"] else {}),
        **({"datasets": [{"ref": _ref(name)} for name in data]} if data else {}),
        **({"inputs": [{"format": "text"}], "outputs": [{"format": "image"}]} if task == TASKS["generate"] else {}),
    }
    card: Row = {"modelParameters": parameters} if parameters else {}
    if component.restricted:
        concern = {
            "name": "Limits on use",
            "mitigationStrategy": "The licence limits what the model may be used for, and what derives from it: "
            f"see {combined(component.licences)}.",
        }
        card["considerations"] = {"ethicalConsiderations": [concern]}
    return card


def _pedigree(release: Release, component: Component, training: Action) -> Row:
    """What a model was trained from, and how."""
    ancestors = [
        {
            "type": "machine-learning-model",
            "name": each.title,
            **_licences(each.licences),
            "properties": _properties(ref=_ref(each.name)),
        }
        for each in release.components
        if each.name in component.needs and each.kind != "datasets"
    ]
    said = json.dumps(training.params, sort_keys=True)
    return {
        **({"ancestors": ancestors} if ancestors else {}),
        "notes": f"Trained here by the stage {training.stage}, version {training.version}, with {said}",
    }


def _part(component: str, path: str, sha256: str) -> Row:
    return {"type": "file", "bom-ref": f"{_ref(component)}/{path}", "name": path, "hashes": _hashes(sha256)}


def _tasks(actions: Collection[Action]) -> dict[str, str]:
    """What models are used for, by component."""
    found: dict[str, str] = {}
    for action in actions:
        for name, ref in action.inputs:
            if name == "model" and action.stage in TASKS:
                used = ref.name if isinstance(ref, Source) else ref.action.partition(":")[0]
                found.setdefault(used, TASKS[action.stage])
    return found


# What depends on what


def _dependencies(release: Release, files: list[Row]) -> Iterator[Row]:
    yield {"ref": ROOT, "dependsOn": sorted(row["bom-ref"] for row in files)}
    for component in release.components:
        yield _depends(_ref(component.name), component.needs)
    for asset, paths in release.assets.items():
        for path in paths:
            yield _depends(f"file:{path}", release.flow.assets[asset])


def _depends(ref: str, names: Collection[str]) -> Row:
    return {"ref": ref, **({"dependsOn": sorted(map(_ref, names))} if names else {})}


# Small parts


def _ref(component: str) -> str:
    return f"component:{component}"


def _hashes(sha256: str) -> list[Row]:
    return [{"alg": "SHA-256", "content": sha256}]


def _licences(licences: Collection[str]) -> Row:
    said = combined(licences)
    return {"licenses": [{"expression": said, "acknowledgement": "declared"}]} if said != UNKNOWN else {}


def _properties(**said: str) -> list[Row]:
    return [{"name": f"spritebuild:{name}", "value": value} for name, value in sorted(said.items())]
