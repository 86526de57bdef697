"""Signed copies of generated pictures with Content Credentials (C2PA), for a release; installed files stay as they are.

A manifest says that a trained model created the picture, or had a part in it. It holds a random name, so every signing
gives other bytes; the pixels are the same.
"""

from __future__ import annotations

import importlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spritebuild import __version__
from spritebuild.errors import MachineError, UsageError
from spritebuild.files import write_atomic
from spritebuild.graph import Graph, Output
from spritebuild.provenance.release import Release

IPTC = "http://cv.iptc.org/newscodes/digitalsourcetype/"
MODEL, OTHER = "model", "other"  # what has a part in a picture
SOURCES = {
    frozenset((MODEL,)): f"{IPTC}trainedAlgorithmicMedia",
    frozenset((MODEL, OTHER)): f"{IPTC}compositeWithTrainedAlgorithmicMedia",
}
NO_PICTURES = ("palettes", "model", "loras", "vae", "layouts")  # inputs that show nothing themselves
CURVES = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}
SETTINGS = {"builder": {"thumbnail": {"enabled": False}}, "verify": {"remote_manifest_fetch": False}}


def sign(release: Release, certificates: Path, key: Path, folder: Path) -> list[Path]:
    """Write a signed copy of every generated PNG below `folder`, under its path in the project; returns the copies.

    `certificates` is a PEM chain, the signer's first; `key` the signer's unencrypted PEM key.
    """
    try:
        library: Any = importlib.import_module("c2pa")
    except ImportError:
        raise MachineError("signing needs the C2PA library", hint='pip install "spritebuild[c2pa]"') from None
    pictures = _pictures(release)
    if not pictures:
        raise UsageError("none of these targets is a PNG that a model made", hint="`spritebuild why TARGET` says how")
    copies = {path: folder.absolute() / path for path in pictures}
    installed = {(release.project.root / path).resolve() for path in release.files()}
    for copy in copies.values():
        if copy.resolve() in installed:
            raise UsageError("a signed copy would replace an installed file", where=str(copy), hint="name another -o")
    chain, secret = _read(certificates), _read(key)
    algorithm = _algorithm(secret, key)
    try:
        signer = library.Signer.from_info(library.C2paSignerInfo(algorithm.encode(), chain, secret, None))
        context = library.Context.from_dict(SETTINGS)
        for path, copy in copies.items():
            signed = io.BytesIO()
            picture = io.BytesIO((release.project.root / path).read_bytes())
            library.Builder.from_json(json.dumps(_manifest(path, pictures[path])), context).sign(
                signer, "image/png", picture, signed
            )
            write_atomic(copy, signed.getvalue())
    except library.C2paError as error:
        hint = "--cert is a PEM chain that begins with the certificate of the key, which is made for signing"
        raise UsageError(f"cannot sign: {error}"[:300], where=str(certificates), hint=hint) from error
    return list(copies.values())


def drawn(graph: Graph) -> Mapping[str, frozenset[str]]:
    """What had a part in the pictures of an action, by the action's id: a model, something else, or both."""
    found: dict[str, frozenset[str]] = {}
    for action in graph.actions.values():
        shown = [ref for name, ref in action.inputs if name.partition(".")[0] not in NO_PICTURES]
        parts = [found[ref.action] if isinstance(ref, Output) else frozenset((OTHER,)) for ref in shown]
        if any(name == "model" for name, _ in action.inputs):
            parts.append(frozenset((MODEL,)))
        found[action.id] = frozenset[str]().union(*parts) if parts else frozenset((OTHER,))
    return found


def _pictures(release: Release) -> dict[str, str]:
    """The PNGs that models had a part in, with what IPTC calls their source, by path."""
    by = drawn(release.project.graph)
    sources = {path: SOURCES.get(by[action.id]) for action in release.actions for _, path in action.installs}
    return {
        path: source
        for asset, files in sorted(release.assets.items())
        if (source := sources[asset]) is not None
        for path in files
        if path.endswith(".png")
    }


def _manifest(path: str, source: str) -> dict[str, Any]:
    software = {"name": "spritebuild", "version": __version__}
    created = {"action": "c2pa.created", "digitalSourceType": source, "softwareAgent": software}
    return {
        "claim_generator_info": [software],
        "title": path,
        "format": "image/png",
        "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [created]}}],
    }


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", where=str(path)) from None


def _algorithm(secret: bytes, path: Path) -> str:
    """The name that C2PA has for a key's algorithm."""
    serialization: Any = importlib.import_module("cryptography.hazmat.primitives.serialization")  # comes with c2pa
    try:
        key = serialization.load_pem_private_key(secret, None)
    except (ValueError, TypeError) as error:
        raise UsageError("no unencrypted private key in PEM", where=str(path), hint="openssl pkey -in KEY") from error
    kind = type(key).__name__
    curve = getattr(getattr(key, "curve", None), "name", "")
    name = CURVES.get(curve) or ("ed25519" if "Ed25519" in kind else "ps256" if "RSA" in kind else None)
    if name is None:
        raise UsageError(f"C2PA knows no signatures of this kind of key: {kind}", where=str(path), hint="use P-256")
    return name
