"""The versions of the libraries that a stage's code imports, as they are loaded in this process; runs no stage."""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType

IMPORT = re.compile(r"^[ \t]*(?:from[ \t]+([.\w]+)[ \t]+import[ \t]*(\([^)]*\)|[^\n#;]+)|import[ \t]+([^\n#;]+))", re.M)
SKIPPED = sys.stdlib_module_names | {"spritebuild", "pydantic", "pydantic_core"}  # the contract: makes no bytes


class Libraries:
    """Versions by import name, such as `numpy`; for every kind of stage they are looked up again if modules came.

    Imports are found in the source, those inside functions too, and count once their module is loaded. Code without a
    version is the stage's own: its imports are followed. A library's own imports are not.
    """

    def __init__(self) -> None:
        self._known: dict[str, tuple[int, Mapping[str, str]]] = {}
        self._imported: dict[str, tuple[str, ...]] = {}
        self._versions: dict[str, str] = {}

    def of(self, module: str) -> Mapping[str, str]:
        """The versions that the code of a loaded module, such as a stage's, may depend on now; Python's is one."""
        loaded = len(sys.modules)
        known = self._known.get(module)
        if known is None or known[0] != loaded:
            known = self._known[module] = loaded, self._look_up(module)
        return known[1]

    def _look_up(self, first: str) -> Mapping[str, str]:
        found = {"python": platform.python_version()}
        seen = {first}
        todo = [first]
        while todo:
            for name in self._imports(todo.pop()):
                top = name.partition(".")[0]
                if name in seen or top in SKIPPED or name not in sys.modules:
                    continue
                seen.add(name)
                version = self._version(top)
                if version:
                    found[top] = version
                else:
                    todo.append(name)
        return dict(sorted(found.items()))

    def _version(self, top: str) -> str:
        if top not in self._versions:
            version = getattr(sys.modules.get(top), "__version__", None)
            if not isinstance(version, str):
                import importlib.metadata  # slow to load, and most libraries say their version themselves

                try:
                    version = importlib.metadata.version(top)
                except (importlib.metadata.PackageNotFoundError, ValueError):
                    version = ""
            self._versions[top] = version if top != "spritebuild_stages" else ""
        return self._versions[top]

    def _imports(self, name: str) -> tuple[str, ...]:
        if name not in self._imported:
            self._imported[name] = tuple(_imports(sys.modules[name]))
        return self._imported[name]


def _imports(module: ModuleType) -> Iterator[str]:
    """Every module that a module's source may import, by its full name; some of them are none."""
    file = getattr(module, "__file__", None)
    if not isinstance(file, str) or not file.endswith(".py"):
        return
    try:
        source = Path(file).read_text("utf-8", "replace")
    except OSError:
        return
    package = (getattr(module, "__package__", None) or "").split(".")
    for origin, members, plain in IMPORT.findall(source):
        if plain:
            for name in _names(plain):
                yield from _parents(name)
            continue
        dots = len(origin) - len(origin.lstrip("."))
        start = [*package[: len(package) - dots + 1], origin[dots:]] if dots else [origin]
        base = ".".join(part for part in start if part)
        yield from _parents(base)
        yield from (f"{base}.{name}" for name in _names(members))


def _names(listed: str) -> Iterator[str]:
    """`a.b as c, d` -> a.b, d."""
    for each in re.sub(r"#[^\n]*", "", listed).strip(" \t()").split(","):
        words = each.split()
        if words:
            yield words[0]


def _parents(name: str) -> Iterator[str]:
    """`a.b` -> a, a.b."""
    parts = name.split(".")
    return (".".join(parts[:end]) for end in range(1, len(parts) + 1))
