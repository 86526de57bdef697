"""Files of a git repository at a revision, Git-LFS objects among them; a path that DVC tracks there is handed over."""

from __future__ import annotations

import configparser
import fnmatch
import os
import re
import subprocess
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from spritebuild import digest
from spritebuild.errors import MachineError, PolicyError
from spritebuild.pinned.sources import NETWORK, Source, Wanted, lfs, safe
from spritebuild.pinned.sources.http import Http

COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
HINT = "check the repository, its path and revision"
PLAIN = ("100644", "100755")


@dataclass(frozen=True)
class _Entry:
    """A file of a tree: its name in the source and in git, its size, and the LFS object that it stands for."""

    path: str
    blob: str
    size: int
    lfs: lfs.Pointer | None


class Git:
    """A file or folder of a repository. `tracked` gives the source for what DVC tracks there, at a commit."""

    def __init__(
        self,
        repo: str,
        path: str,
        rev: str | None,
        *,
        include: Sequence[str],
        exclude: Sequence[str],
        kept: Path,
        http: Http,
        tracked: Callable[[str], Source],
    ) -> None:
        self.repo, self.path, self.rev = repo, str(PurePosixPath(path)), rev
        self.include, self.exclude = tuple(include), tuple(exclude)
        self.bare = kept / digest.of_value(repo)[:32]
        self.http, self.tracked = http, tracked
        self._entries: dict[str, dict[str, _Entry]] = {}
        self._handed: Source | None = None
        self._folder = True

    @property
    def folder(self) -> bool:
        return self._handed.folder if self._handed else self._folder

    def resolve(self) -> str:
        """The commit that the revision is now."""
        if self.rev is not None and COMMIT.fullmatch(self.rev):
            return self.rev
        rows = self._git("ls-remote", "--", self.repo, *([self.rev, f"{self.rev}^{{}}"] if self.rev else ["HEAD"]))
        found = {name: commit for commit, _, name in (line.partition("\t") for line in rows.decode().splitlines())}
        for name in (f"refs/tags/{self.rev}^{{}}", f"refs/tags/{self.rev}", f"refs/heads/{self.rev}", self.rev, "HEAD"):
            if name in found and (self.rev is None or name != "HEAD" or self.rev == "HEAD"):
                return found[name]
        what = f"no revision {self.rev!r}" if self.rev else "no commit"
        raise MachineError(what, where=self.repo, hint=f"{HINT}: a branch, a tag, or all digits of a commit")

    def listing(self, revision: str | None) -> list[Wanted]:
        assert revision is not None
        self._fetch(revision)
        entries = self._list(revision)
        if (not entries or any(path.endswith(".dvc") for path in entries)) and self._has(revision, ".dvc/config"):
            self._handed = self.tracked(revision)
            return list(self._handed.listing(revision))
        if not entries:
            raise MachineError(f"nothing is at {self.path}", where=self.repo, hint=HINT)
        return [
            Wanted(each.path, each.lfs.size, each.lfs.oid) if each.lfs else Wanted(each.path, each.size)
            for each in entries.values()
        ]

    def bring(self, files: Iterable[Wanted], revision: str | None, into: Path) -> None:
        assert revision is not None
        if revision not in self._entries:
            self.listing(revision)
        if self._handed is not None:
            self._handed.bring(files, revision, into)
            return
        objects: dict[Path, lfs.Pointer] = {}
        for file in files:
            entry = self._entries[revision].get(file.path)
            if entry is None:
                raise MachineError(f"{file.path} is not there", where=f"{self.repo}@{revision}", hint=HINT)
            place = into / safe(file.path)
            place.parent.mkdir(parents=True, exist_ok=True)
            if entry.lfs is not None:
                objects[place] = entry.lfs
            else:
                with place.open("wb") as stream:
                    self._git("cat-file", "blob", entry.blob, bare=True, stdout=stream.fileno())
        if objects:
            lfs.bring(objects, self._endpoint(revision), self.http)

    def _fetch(self, revision: str) -> None:
        if not (self.bare / "HEAD").exists():
            self._git("init", "--quiet", "--bare", "--", str(self.bare))
        commit = f"{revision}^{{commit}}"
        if self._succeeds("cat-file", "-e", commit):
            return
        fetch = ("fetch", "--quiet", "--no-tags", "--no-write-fetch-head")
        if self._succeeds(*fetch, "--depth", "1", "--", self.repo, revision):
            return
        # A server may give no commit that no branch points to: then all branches and tags.
        self._git(*fetch, "--", self.repo, "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*", bare=True)
        if not self._succeeds("cat-file", "-e", commit):
            raise MachineError(f"no commit {revision[:12]}", where=self.repo, hint=HINT)

    def _list(self, revision: str) -> dict[str, _Entry]:
        if revision in self._entries:
            return self._entries[revision]
        base = "" if self.path == "." else self.path
        rows = self._git(
            "ls-tree", "-r", "-l", "-z", "--full-tree", revision, "--", *([base] if base else []), bare=True
        )
        found = {}
        for row in rows.decode("utf-8", "surrogateescape").split("\0"):
            if not row:
                continue
            about, _, name = row.partition("\t")
            mode, _, blob, size = about.split()
            self._folder = name != base
            path = (
                name.removeprefix(f"{base}/") if base and self._folder else PurePosixPath(name).name if base else name
            )
            if not self._chosen(path):
                continue
            if mode not in PLAIN:
                kind = "a link" if mode == "120000" else "another repository"
                raise PolicyError(
                    f"{path} is {kind}, which is refused", where=self.repo, hint="leave it out with exclude"
                )
            found[safe(path)] = _Entry(path, blob, int(size), self._pointer(blob, int(size)))
        self._entries[revision] = found
        return found

    def _chosen(self, path: str) -> bool:
        """Whether a file is asked for; a pattern without a slash is for a name in any folder."""

        def fits(pattern: str) -> bool:
            return fnmatch.fnmatchcase(path if "/" in pattern else PurePosixPath(path).name, pattern)

        if not self._folder:
            return True
        return (not self.include or any(map(fits, self.include))) and not any(map(fits, self.exclude))

    def _pointer(self, blob: str, size: int) -> lfs.Pointer | None:
        return lfs.pointer(self._git("cat-file", "blob", blob, bare=True)) if size <= lfs.LONGEST else None

    def _endpoint(self, revision: str) -> str | Path:
        """Where the LFS objects of the repository are."""
        if self._has(revision, ".lfsconfig"):
            said = configparser.ConfigParser(strict=False, interpolation=None)
            text = self._git("cat-file", "blob", f"{revision}:.lfsconfig", bare=True).decode("utf-8", "replace")
            said.read_string("\n".join(line.strip() for line in text.splitlines()))
            url = said.get("lfs", "url", fallback="")
            if url.partition("://")[0] in NETWORK:
                return url
        scheme, mark, rest = self.repo.partition("://")
        if mark and scheme in NETWORK:
            base = self.repo.rstrip("/")
            return (base if base.endswith(".git") else f"{base}.git") + "/info/lfs"
        folder = Path(rest if scheme == "file" else self.repo)
        for place in (folder / ".git/lfs/objects", folder / "lfs/objects"):
            if place.is_dir():
                return place
        raise MachineError(
            "where the LFS objects of the repository are is not known",
            where=self.repo,
            hint="name it by its https address, or clone it with git-lfs and name the clone",
        )

    def _has(self, revision: str, path: str) -> bool:
        return self._succeeds("cat-file", "-e", f"{revision}:{path}")

    def _succeeds(self, *arguments: str) -> bool:
        try:
            self._git(*arguments, bare=True)
        except MachineError:
            return False
        return True

    def _git(self, *arguments: str, bare: bool = False, stdout: int = subprocess.PIPE) -> bytes:
        # git-lfs would download every object of the repository when git writes a file.
        environment = {**os.environ, "GIT_LFS_SKIP_SMUDGE": "1", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
        for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):  # of a hook that runs us
            environment.pop(name, None)
        command = ["git", *(["--git-dir", str(self.bare)] if bare else []), *arguments]
        try:
            ended = subprocess.run(
                command, env=environment, stdout=stdout, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL
            )
        except FileNotFoundError:
            raise MachineError("git is not installed", hint="install git") from None
        if ended.returncode != 0:
            said = ended.stderr.decode("utf-8", "replace").strip().splitlines()
            raise MachineError(f"git {arguments[0]}: {said[-1] if said else 'failed'}", where=self.repo, hint=HINT)
        return ended.stdout or b""
