"""The contact sheet: a card for every picture that a build makes, and what becomes of it; knows no HTTP.

Every change has a number. Who shows the sheet asks for what came after the number that it has seen last.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from spritebuild import digest, lock
from spritebuild.errors import SpritebuildError, SpritefileError
from spritebuild.graph import Action
from spritebuild.plan import WAITS
from spritebuild.project import Project
from spritebuild.status import Status

State = Literal["waiting", "drawing", "draft", "final", "failed"]
PNG = b"\x89PNG\r\n\x1a\n"
PICTURED = ("sprites", "sheets")  # tables whose assets are pictures
LONGEST = 4000  # characters of an error that a card tells


@dataclass(frozen=True, slots=True)
class Card:
    """A sprite or a sheet. `picture` and `baseline` are digests of PNG files; empty where there is none yet.

    `changed` says how the finished asset stands to its baseline: "same", "changed", or "new" without one.
    """

    name: str
    path: str
    state: State = "waiting"
    picture: str = ""
    baseline: str = ""
    changed: str = ""
    why: str = ""
    error: str = ""
    pages: int = 1


@dataclass
class Sheet(Status):
    """The cards of one project. It hears what builds tell, from one thread, and tells others, in theirs."""

    project: str = ""
    _cards: dict[str, Card] = field(default_factory=dict)  # by target
    _seen: dict[str, int] = field(default_factory=dict)  # the number of each one's last change
    _laid: int = 0  # the number of the last change of which cards there are
    _about: dict[str, Any] = field(default_factory=dict)
    _about_at: int = 0
    _number: int = 0
    _ended: bool = False
    _places: dict[str, tuple[str, ...]] = field(default_factory=dict)
    _approved: dict[str, str] = field(default_factory=dict)  # the baseline of each asset
    _targets: dict[str, str] = field(default_factory=dict)  # by the asset's path
    _read: Project | None = None
    _draft: bool = False
    _changing: threading.Condition = field(default_factory=threading.Condition)

    # What builds tell

    def begin(self, saved: Iterable[str]) -> None:
        """A build begins, for what was saved."""
        self._say(state="reading", saved=[*saved])

    def lay(self, project: Project, chosen: Collection[str]) -> None:
        """Lay out the cards of those targets as they are now; what was shown stays until there is something else."""
        before, cards = self._cards, {}
        self._read, self._approved, self._targets = project, {}, {}
        pictured = [action for action in project.graph.actions.values() if action.target in chosen]
        for action in pictured:
            for _, path in action.installs:
                if action.target.partition(".")[0] in PICTURED and (path.endswith(".png") or lock.is_folder(path)):
                    self._targets[path] = action.target
                    cards[action.target] = self._card(project, action, path, before.get(action.target))
        with self._changing:
            self._number += 1
            if [*cards] != [*before] or project.spritefile.project.name != self.project:
                self._laid = self._number
            self.project = project.spritefile.project.name
            for target, card in cards.items():
                if before.get(target) != card:
                    self._seen[target] = self._number
            self._cards = cards
            self._changing.notify_all()

    def _card(self, project: Project, action: Action, path: str, before: Card | None) -> Card:
        entry = project.known.lock.get(path)
        card = before if before is not None and before.path == path else Card(action.target, path)
        if entry is None:
            return replace(card, state="final" if card.picture else "waiting", changed="new", why="", error="")
        self._approved[path] = entry.approved
        files = entry.before.get("files", {}) if entry.before.get("digest") == entry.approved else {}
        baseline = self._picture(path, entry.approved, entry.files if entry.approved == entry.digest else files)
        current = entry.recipe == action.recipe and entry.digest
        picture = self._picture(path, entry.digest, entry.files) if current or not card.picture else card.picture
        changed = _changed(entry.approved, entry.digest)
        pages = max(1, sum(file.endswith(".png") for file in entry.files))
        return replace(
            card, state="final", picture=picture, baseline=baseline, changed=changed, why="", error="", pages=pages
        )

    def shows(self, target: str) -> bool:
        """Whether there is a card of that target."""
        return target in self._cards

    def drafting(self, drafts: bool) -> None:
        """What is made from now on is a draft, or is final."""
        self._draft = drafts

    def expected(self, action: str, reason: str) -> None:
        card = self._cards.get(action.partition(":")[0])
        if card is not None:
            why = card.why if card.why or reason.startswith(WAITS) or self._draft else reason
            self._put(replace(card, state="draft" if card.state == "draft" else "waiting", why=why, error=""))

    def started(self, action: str, stage: str, reason: str) -> None:
        card = self._cards.get(action.partition(":")[0])
        if card is not None and card.state == "waiting":
            self._put(replace(card, state="drawing"))

    def made(self, path: str, digest: str) -> None:
        card = self._cards.get(self._targets.get(path, ""))
        if card is None or self._read is None:
            return
        files = self._read.store.listed(digest) if lock.is_folder(path) else {}
        picture = self._picture(path, digest, files)
        pages = max(1, sum(file.endswith(".png") for file in files))
        if self._draft:
            self._put(replace(card, state="draft", picture=picture, pages=pages))
        else:
            changed = _changed(self._approved.get(path, ""), digest)
            self._put(replace(card, state="final", picture=picture, changed=changed, error="", pages=pages))

    def failed(self, action: str, stage: str, error: str) -> None:
        if self._read is None or self._draft:
            return  # it fails in its own quality as well, and is told then
        graph, reached, todo = self._read.graph, set(), [action]
        while todo:
            id = todo.pop()
            if id not in reached:
                reached.add(id)
                todo += graph.consumers.get(id, ())
        own, told = action.partition(":")[0], f"needs {action}, which failed\n{error}"
        targets = {id.partition(":")[0] for id in reached} & self._cards.keys()
        words = {target: (error if target == own else told)[:LONGEST] for target in targets}
        self._put(*(replace(self._cards[target], state="failed", error=text) for target, text in words.items()))

    def planned(self, to_run: Mapping[str, int]) -> None:
        self._say(state="building", error=None)

    def ended(self, summary: Mapping[str, Any]) -> None:
        self._say(state="watching", error=None, **{name: summary[name] for name in ("ran", "installed", "seconds")})

    def rest(self) -> None:
        """There was nothing to do."""
        self._say(state="watching", error=None)

    def broken(self, error: SpritebuildError) -> None:
        """The build failed, or could not begin."""
        faults = [
            {
                "file": fault.file,
                "line": fault.line,
                "column": fault.column,
                "source": fault.source,
                "width": fault.width,
                "message": fault.message,
                "hint": fault.hint or "",
            }
            for fault in (error.faults if isinstance(error, SpritefileError) else ())
        ]
        told = {
            "message": error.message if not faults else "",
            "where": error.where or "",
            "facts": [[name, value[:LONGEST]] for name, value in error.facts],
            "hint": error.hint or "",
            "faults": faults[:20],
            "more": max(0, len(faults) - 20),
        }
        left = [card for card in self._cards.values() if card.state in ("waiting", "drawing")]
        self._put(*(replace(card, state="final" if card.picture else "waiting") for card in left))
        self._say(state="broken", error=told)

    def end(self) -> None:
        """Nobody watches any more."""
        with self._changing:
            self._ended = True
            self._changing.notify_all()

    def _put(self, *cards: Card) -> None:
        with self._changing:
            changed = [card for card in cards if self._cards.get(card.name) != card]
            self._number += bool(changed)
            for card in changed:
                self._cards[card.name] = card
                self._seen[card.name] = self._number
            self._changing.notify_all()

    def _say(self, **about: Any) -> None:
        with self._changing:
            self._number += 1
            self._about_at = self._number
            self._about = {**self._about, **about}
            self._changing.notify_all()

    # What is shown

    def after(self, seen: int, timeout: float) -> tuple[int, bytes | None]:
        """What changed after a number, as JSON, and the number of now; None where nothing did in that many seconds.

        Raises EOFError once nobody watches any more.
        """
        with self._changing:
            self._changing.wait_for(lambda: self._number > seen or self._ended, timeout)
            if self._ended:
                raise EOFError
            if self._number <= seen:
                return seen, None
            whole = seen < self._laid or seen == 0
            cards = [card for name, card in self._cards.items() if whole or self._seen[name] > seen]
            said: dict[str, Any] = {"number": self._number}
            if whole:
                said |= {"project": self.project, "order": [*self._cards]}
            if cards:
                said["cards"] = [_row(card) for card in cards]
            if whole or self._about_at > seen:
                said["about"] = self._about
            return self._number, json.dumps(said, separators=(",", ":")).encode()

    def pixels(self, name: str) -> bytes | None:
        """The bytes of a picture that a card shows or showed; None where there is none of that digest."""
        for _ in range(2):  # it may be moved meanwhile, from where it was made to where it is kept
            for place in self._places.get(name, ()):
                try:
                    data = Path(place).read_bytes()
                except OSError:
                    continue
                if data.startswith(PNG) and digest.of_bytes(data) == name:
                    return data
        return None

    def _picture(self, path: str, name: str, files: Mapping[str, str]) -> str:
        """The digest of the picture to show of an asset, from now on one that can be asked for."""
        place = path
        if lock.is_folder(path):
            pages = sorted(file for file in files if file.endswith(".png"))
            name = files[pages[0]] if pages else ""
            place = lock.placed(path, {pages[0]: name}).popitem()[0] if pages else ""
        if not name or self._read is None:
            return ""
        state, root = self._read.store.root, self._read.root
        kept = f"{state}/blobs/{name[:2]}/{name[2:]}"
        self._places[name] = (kept, f"{state}/scratch/{name}", f"{root}/{place}")
        return name


def _changed(approved: str, now: str) -> str:
    if not approved:
        return "new"
    return "same" if approved == now else "changed"


def _row(card: Card) -> dict[str, Any]:
    """A card as the page takes it: what is empty is left out."""
    row = {name: getattr(card, name) for name in Card.__slots__}
    return {name: value for name, value in row.items() if value and not (name == "pages" and value == 1)}
