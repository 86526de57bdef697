"""Refuses TOML that would cost tomllib minutes or gigabytes, in one linear pass; knows no meaning of any key."""

from __future__ import annotations

import re

from spritebuild.errors import Fault

LARGEST_FILE = 16 << 20  # bytes
MOST_PARTS = 16
DEEPEST_NESTING = 32
MOST_DIGITS = 100

# Strings of the four kinds. An unterminated one runs to the end of its line or of the text, where tomllib stops too, so
# nothing that tomllib reads hides in it. The possessive quantifiers keep every pattern here linear.
STRING = (
    r'"""(?:[^"\\]++|\\[\s\S]|"{1,2}+(?!"))*+(?:"{3,5}+|\\?\Z)'
    r"|'''(?:[^']++|'{1,2}+(?!'))*+(?:'{3,5}+|\Z)"
    r'|"(?:[^"\\\n]++|\\[^\n])*+"?'
    r"|'[^'\n]*+'?"
)
COMMENT = r"#[^\n]*+"

OPAQUE = re.compile(rf"{STRING}|{COMMENT}")
_TOO_MANY_PARTS = re.compile(rf"\.(?:[ \t]*+[\w-]++[ \t]*+\.){{{MOST_PARTS - 1}}}")
_BRACKETS = re.compile(r"[\[{]+|[\]}]+")
_LONG_NUMBER = re.compile(rf"[0-9][0-9A-Fa-f_xob]{{{MOST_DIGITS}}}")


def scan(text: str, file: str) -> Fault | None:
    """The fault of text that is not safe to parse, or None: keys of many parts, deep nesting, endless numbers."""
    if _danger(OPAQUE.sub("_", text)) is None:
        return None
    found = _danger(OPAQUE.sub(_blank, text))
    assert found is not None, "both maskings tell the same"
    offset, message, hint = found
    line = text.count("\n", 0, offset) + 1
    return Fault(message, file, line, hint=hint)


def _blank(match: re.Match[str]) -> str:
    """As long as what it hides, so that offsets stay, with the line ends of multi-line strings."""
    return re.sub(r"[^\n]", "_", match[0])


def _danger(bare: str) -> tuple[int, str, str] | None:
    """What is refused in text without strings and comments: offset, message, hint."""
    if match := _TOO_MANY_PARTS.search(bare):
        return match.start(), f"a key of more than {MOST_PARTS} parts", "a spritefile needs at most six"
    if match := _LONG_NUMBER.search(bare):
        return match.start(), f"a number of more than {MOST_DIGITS} digits", "a seed is at most 9223372036854775807"
    depth = 0
    for match in _BRACKETS.finditer(bare):
        run = match[0]
        if run[0] in "[{":
            depth += len(run)
            if depth > DEEPEST_NESTING:
                return match.start(), f"lists and tables nested deeper than {DEEPEST_NESTING}", "write it flat"
        else:
            depth = max(0, depth - len(run))
    return None
