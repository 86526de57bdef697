"""Licences as SPDX expressions: from what people write to identifiers, and whether they meet a policy.

What is not on SPDX's list becomes a `LicenseRef-`, with 12 digits of the sha256 of its text where the text is at hand.
Knows no project.
"""

from __future__ import annotations

import fnmatch
import re
from collections import deque
from collections.abc import Callable, Collection

from spritebuild import digest

UNKNOWN = "NOASSERTION"  # SPDX's word where nothing is said
REF = "LicenseRef-"
LONGEST = 500  # characters of a licence, in words; what is longer is known by its digest
SLUG = 60  # characters of an identifier that is made of words
TEXT_DIGITS = 12
LICENCE_FILE = re.compile(r"(?:licen[cs]e|copying)(?:[.\-_][^/]*)?", re.IGNORECASE)

NOTHING = {"", "unknown", "other", "none", "noassertion", "n-a", "na", "tbd", "see-readme"}
# As models, LoRAs and art are labelled on the sites that people have them from, by `_key`.
ALIASES = {
    "cc0": "CC0-1.0",
    "cc-0": "CC0-1.0",
    "cc0-1.0-universal": "CC0-1.0",
    "cc-zero": "CC0-1.0",
    "public-domain": f"{REF}Public-Domain",
    "apache": "Apache-2.0",
    "apache2": "Apache-2.0",
    "apache-2": "Apache-2.0",
    "apache-v2": "Apache-2.0",
    "apache-v2.0": "Apache-2.0",
    "apache-license-2.0": "Apache-2.0",
    "apache-license-version-2.0": "Apache-2.0",
    "the-unlicense": "Unlicense",
    "gplv2": "GPL-2.0-only",
    "gplv3": "GPL-3.0-only",
    "lgplv3": "LGPL-3.0-only",
    "agplv3": "AGPL-3.0-only",
    "openrail": f"{REF}OpenRAIL",
    "openrail-m": f"{REF}OpenRAIL",
    "creativeml-openrail-m": f"{REF}CreativeML-OpenRAIL-M",
    "creativeml-open-rail-m": f"{REF}CreativeML-OpenRAIL-M",
    "creativeml-openrail": f"{REF}CreativeML-OpenRAIL-M",
    "openrail++": f"{REF}CreativeML-OpenRAIL-PlusPlus-M",
    "openrail++-m": f"{REF}CreativeML-OpenRAIL-PlusPlus-M",
    "creativeml-openrail++": f"{REF}CreativeML-OpenRAIL-PlusPlus-M",
    "creativeml-openrail++-m": f"{REF}CreativeML-OpenRAIL-PlusPlus-M",
    "creativeml-open-rail++-m": f"{REF}CreativeML-OpenRAIL-PlusPlus-M",
    "bigscience-openrail-m": f"{REF}BigScience-OpenRAIL-M",
    "bigscience-bloom-rail-1.0": f"{REF}BigScience-BLOOM-RAIL-1.0",
    "bigcode-openrail-m": f"{REF}BigCode-OpenRAIL-M",
    "faipl-1.0-sd": f"{REF}FAIPL-1.0-SD",
    "fair-ai-public-license-1.0-sd": f"{REF}FAIPL-1.0-SD",
    "flux-1-dev-non-commercial-license": f"{REF}FLUX-1-dev-Non-Commercial",
    "flux.1-dev-non-commercial-license": f"{REF}FLUX-1-dev-Non-Commercial",
    "flux-1-dev-non-commercial": f"{REF}FLUX-1-dev-Non-Commercial",
    "flux.1-dev-non-commercial": f"{REF}FLUX-1-dev-Non-Commercial",
    "stabilityai-ai-community": f"{REF}Stability-AI-Community",
    "stability-ai-community": f"{REF}Stability-AI-Community",
    "sai-nc-community": f"{REF}Stability-AI-Non-Commercial-Community",
    "stable-cascade-nc-community": f"{REF}Stability-AI-Non-Commercial-Community",
}

_GNU = re.compile(r"(?<![\w.-])((?:[AL]?GPL|GFDL)-\d\.\d)(\+?)(?![\w.+-])")  # names that SPDX has retired
_OPERATOR = re.compile(r"(\(|\)|\bAND\b|\bOR\b|\bWITH\b)")
_TAIL = re.compile(r"-(?:licen[cs]e|international|unported)$")
_REF_NAME = re.compile(rf"{REF}[A-Za-z0-9.-]+")
_TEXT = re.compile(rf"-[0-9a-f]{{{TEXT_DIGITS}}}$")


def expression(said: str | None, text: str | None = None) -> str:
    """The SPDX expression of a licence as somebody wrote it, or UNKNOWN; `text` is the sha256 of its text, if any."""
    named = _named(said or "")
    if text is None:
        return named
    digits = f"-{text[:TEXT_DIGITS]}"
    return _REF_NAME.sub(lambda match: match[0] if match[0].endswith(digits) else match[0] + digits, named)


def _named(said: str) -> str:
    if len(said) > LONGEST:
        return f"{REF}words.{digest.of_bytes(said.encode('utf-8', 'replace'))[:TEXT_DIGITS]}"
    whole = _known(said)
    if whole is not None:
        return whole
    parts = [part.strip() for part in _OPERATOR.split(said) if part.strip()]
    if len(parts) > 1 and all(_OPERATOR.fullmatch(part) or _known(part) != UNKNOWN for part in parts):
        joined = " ".join(part if _OPERATOR.fullmatch(part) else _known(part) or _of_words(part) for part in parts)
        if (found := _canonical(joined)) is not None:
            return found
    return _of_words(said)


def _known(said: str) -> str | None:
    """An expression that SPDX knows, an alias, or UNKNOWN; None for other words."""
    key = _key(said)
    if key in NOTHING and (key or not any(map(str.isalnum, said))):
        return UNKNOWN
    for candidate in (said, ALIASES.get(key), key, ALIASES.get(_TAIL.sub("", key)), _TAIL.sub("", key)):
        if candidate is not None and (found := _canonical(candidate)) is not None:
            return found
    return None


def _key(said: str) -> str:
    return re.sub(r"[^a-z0-9.+]+", "-", said.lower()).strip("-")


def _canonical(said: str) -> str | None:
    from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression  # SPDX's whole list

    try:
        found = str(canonicalize_license_expression(said.strip()))
    except (InvalidLicenseExpression, RecursionError, MemoryError):
        return None
    return _GNU.sub(lambda match: f"{match[1]}-{'or-later' if match[2] else 'only'}", found)


def _of_words(said: str) -> str:
    slug = re.sub(r"[^A-Za-z0-9.]+", "-", said).strip("-.")
    if 0 < len(slug) <= SLUG:
        return f"{REF}{slug}"
    return f"{REF}words.{digest.of_bytes(said.encode('utf-8', 'replace'))[:TEXT_DIGITS]}"


def combined(licences: Collection[str]) -> str:
    """One expression of all of these, UNKNOWN left out; UNKNOWN where nothing is left."""
    known = sorted(licence for licence in licences if licence != UNKNOWN)
    if len(known) == 1:
        return known[0]
    return " AND ".join(f"({licence})" if " OR " in licence else licence for licence in known) or UNKNOWN


def carries_restrictions(licence: str) -> bool:
    """Whether a licence limits what its work may be used for, and says that derivatives must do so, too."""
    return "RAIL" in licence


# Policies


def met(licence: str, allow: Collection[str] | None, deny: Collection[str]) -> bool:
    """Whether an expression is allowed and not denied: one side of an OR, all of an AND. UNKNOWN is never allowed."""
    if licence == UNKNOWN:
        return allow is None
    allowed = None if allow is None else [pattern_of(pattern) for pattern in allow]
    denied = [pattern_of(pattern) for pattern in deny]

    def judged(name: str) -> bool:
        return (allowed is None or _matches(name, allowed)) and not _matches(name, denied)

    return _holds(licence, judged)


def pattern_of(said: str) -> str:
    """An entry of a policy as it is compared: a glob as it is, a licence by its identifier."""
    return said if any(mark in said for mark in "*?") else expression(said)


def is_pattern(said: str) -> bool:
    """Whether an entry of a policy is a glob, or names one licence that can be told from a slip of the pen."""
    if any(mark in said for mark in "*?"):
        return True
    found = _known(said)
    return found is not None and found != UNKNOWN and not re.search(r" (?:AND|OR) ", found)


def _matches(name: str, patterns: Collection[str]) -> bool:
    """Whether a name, or what it is without its exception or the digits of its text, matches a pattern."""
    plain = name.partition(" WITH ")[0]
    names = {each.lower() for each in (name, plain, _TEXT.sub("", plain) if plain.startswith(REF) else plain)}
    return any(fnmatch.fnmatchcase(each, pattern.lower()) for each in names for pattern in patterns)


def _holds(licence: str, judged: Callable[[str], bool]) -> bool:
    """An expression whose single licences are judged so. AND binds more tightly than OR (SPDX 2.3, annex D)."""
    tokens = deque(licence.replace("(", " ( ").replace(")", " ) ").split())

    def either() -> bool:
        found = every()
        while tokens and tokens[0] == "OR":
            tokens.popleft()
            found |= every()
        return found

    def every() -> bool:
        found = one()
        while tokens and tokens[0] == "AND":
            tokens.popleft()
            found &= one()
        return found

    def one() -> bool:
        name = tokens.popleft()
        if name == "(":
            found = either()
            tokens.popleft()
            return found
        if tokens and tokens[0] == "WITH":
            tokens.popleft()
            name = f"{name} WITH {tokens.popleft()}"
        return judged(name)

    return either()
