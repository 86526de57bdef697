"""Traces as small signed documents (Ed25519); knows no store and no file.

Whoever may write traces holds the private key; whoever reads them needs the public one alone, which is no secret and is
declared in the spritefile. The key of the action is inside what is signed.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Collection
from typing import Any

from spritebuild import digest
from spritebuild.errors import MachineError, UsageError

PREFIX = b"spritebuild trace 1\n"  # so that a signature of anything else is never one of a trace


class Refused(ValueError):  # noqa: N818 - says what is so
    """A trace is not what policy asks; the message says why."""


def new_key() -> tuple[str, str]:
    """A private key, and the public one that goes into the spritefile, both as text."""
    private = _ed25519().Ed25519PrivateKey.generate()
    return _text(private.private_bytes_raw()), _text(private.public_key().public_bytes_raw())


def public_of(secret: str) -> str:
    """The public key of a private one. Raises UsageError."""
    return _text(_private(secret).public_key().public_bytes_raw())


def write(key: str, action: str, outputs: dict[str, str], provenance: dict[str, Any], secret: str | None) -> bytes:
    """The document of a trace, signed if there is a private key."""
    text = digest.canonical({"key": key, "action": action, "outputs": outputs, "provenance": provenance})
    document = {"trace": text.decode()}
    if secret:
        private = _private(secret)
        document["by"] = _text(private.public_key().public_bytes_raw())
        document["signature"] = _text(private.sign(PREFIX + text))
    return digest.canonical(document)


def read(data: bytes, key: str, trusted: Collection[str] | None) -> tuple[dict[str, str], dict[str, Any]]:
    """The outputs and the provenance of a trace's document. Raises Refused.

    It must be signed by one of the `trusted` public keys; by nobody, if that is None.
    """
    try:
        document = json.loads(data)
        text = document["trace"].encode()
        if trusted is not None:
            _verify(document, text, trusted)
        trace = json.loads(text)
        said, outputs, provenance = trace["key"], trace["outputs"], trace["provenance"]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        if isinstance(error, Refused):
            raise
        raise Refused("is no trace") from None
    if said != key:
        raise Refused(f"is the trace of another key, {str(said)[:12]}")
    if not (type(outputs) is dict and type(provenance) is dict and outputs and all(map(_is_digest, outputs.values()))):
        raise Refused("is no trace")
    return outputs, provenance


def _verify(document: dict[str, Any], text: bytes, trusted: Collection[str]) -> None:
    by, signature = document.get("by"), document.get("signature")
    if not (type(by) is str and type(signature) is str):
        raise Refused("is not signed")
    if by not in trusted:
        raise Refused(f"is signed by {by[:60]}, whom the spritefile does not trust")
    from cryptography.exceptions import InvalidSignature

    try:
        public = _ed25519().Ed25519PublicKey.from_public_bytes(_bytes(by))
        public.verify(_bytes(signature), PREFIX + text)
    except (InvalidSignature, ValueError):
        raise Refused(f"is not what {by} signed") from None


def _is_digest(value: object) -> bool:
    return type(value) is str and digest.ANY.fullmatch(value) is not None


def _private(secret: str) -> Any:
    try:
        return _ed25519().Ed25519PrivateKey.from_private_bytes(_bytes(secret.strip()))
    except (ValueError, binascii.Error):
        hint = "make a pair of keys: spritebuild store-key"
        raise UsageError("is no private key for traces", where="SPRITEBUILD_STORE_KEY", hint=hint) from None


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _ed25519() -> Any:
    try:
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError:
        hint = 'pip install "spritebuild[store]"'
        raise MachineError("signed traces need the package cryptography", hint=hint) from None
    return ed25519
