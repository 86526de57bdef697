"""Files on a host that OpenSSH reaches: version 3 of the SFTP protocol (draft-ietf-secsh-filexfer-02) over `ssh -s`.

The host's name, user, keys, agent and jumps are the business of ssh and of its configuration.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import queue
import secrets
import shlex
import shutil
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from spritebuild import sockets
from spritebuild.shared.places import TIMEOUT, File, Unreachable, unreachable

COMMAND = "SPRITEBUILD_SSH"  # the command to use instead of `ssh`, with its arguments
UNDERSTOOD = {"url", "user", "port", "keyfile", "timeout"}  # settings of a remote
KEPT = 60  # seconds that ssh keeps a connection that nobody uses
CHUNK = 32 << 10  # bytes of a request that every server takes
LARGE_CHUNK = 255 << 10  # that OpenSSH's takes
AHEAD = 2 << 20  # bytes asked for before the first of them are here
INIT, VERSION, OPEN, CLOSE, READ, WRITE, FSTAT = 1, 2, 3, 4, 5, 6, 8
OPENDIR, READDIR, REMOVE, MKDIR, STAT, RENAME, EXTENDED = 11, 12, 13, 14, 17, 18, 200
STATUS, HANDLE, DATA, NAME, ATTRS = 101, 102, 103, 104, 105
OK, EOF, NO_SUCH_FILE = 0, 1, 2
READING, CREATING = 1, 2 | 8 | 32  # to write, create, and only if it is not there
SIZE, OWNER, MODE, TIMES, MORE = 1, 2, 4, 8, 1 << 31  # of attributes
Reply = tuple[int, bytes]


_errors = functools.partial(unreachable, "ssh", OSError, struct.error)


def at(said: Mapping[str, str]) -> Sftp | None:
    """The place of a remote; None where it says what is none of ssh's business, or there is no ssh."""
    url = urlsplit(said["url"])
    command = shlex.split(os.environ.get(COMMAND, "ssh"))
    if said.keys() - UNDERSTOOD or url.password or not url.hostname or not command or not shutil.which(command[0]):
        return None
    if url.hostname.startswith("-") or (said.get("user") or url.username or "").startswith("-"):
        return None
    timeout = int(said.get("timeout") or TIMEOUT)
    command += ["-x", "-a", "-T", "-o", "BatchMode=yes", "-o", f"ConnectTimeout={timeout}", "-o", "Compression=no"]
    command += ["-o", f"ServerAliveInterval={timeout}", "-o", "ServerAliveCountMax=2"]
    if COMMAND not in os.environ:
        command += ["-o", "StrictHostKeyChecking=accept-new"]  # a host that is new is believed, a changed one is not
    if user := said.get("user") or (unquote(url.username) if url.username else ""):
        command += ["-l", user]
    if port := said.get("port") or url.port:
        command += ["-p", str(port)]
    if keyfile := said.get("keyfile"):
        command += ["-i", os.path.expanduser(keyfile), "-o", "IdentitiesOnly=yes"]
    command += _sharing(command, url.hostname)
    return Sftp([*command, "-s", url.hostname, "sftp"], unquote(url.path) or ".")


def _sharing(command: list[str], host: str) -> list[str]:
    """Options by which ssh keeps a connection for a while: to make one takes longer than a small pull.

    There are none where the user has said how connections are shared, or where no folder is this user's alone.
    """
    if "control" in os.environ.get(COMMAND, "").lower():
        return []
    try:
        place = sockets.place(" ".join([*command, host]), make=True)
        told = subprocess.run([*command, "-G", host], capture_output=True, timeout=TIMEOUT, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    said = {line.partition(b" ")[0].lower(): line.partition(b" ")[2] for line in told.splitlines()}
    if said.get(b"controlmaster") != b"false" or said.get(b"controlpath", b"none") != b"none":
        return []
    if place.split() != [place] or '"' in place:
        return []  # ssh would take it for several words
    options = {"ControlMaster": "auto", "ControlPersist": str(KEPT), "ControlPath": place.replace("%", "%%")}
    return [word for key, value in options.items() for word in ("-o", f"{key}={value}")]


class Sftp:
    """One connection, over which many threads ask side by side; made when first asked."""

    jobs = 16

    def __init__(self, command: list[str], root: str) -> None:
        self.command, self.root = command, root.rstrip("/")
        self._lock = threading.Lock()  # of what is sent
        self._starting = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count(1)
        self._waiting: dict[int, queue.SimpleQueue[tuple[int, Reply | None]]] = {}
        self._extensions: set[bytes] = set()
        self._words = bytearray()
        self._threads: list[threading.Thread] = []
        self._made: set[str] = set()

    def files(self, folder: str) -> dict[str, File]:
        return {name: File(size, since) for name, size, since, is_folder in self._listed(folder) if not is_folder}

    def folders(self, folder: str) -> list[str]:
        return [name for name, _, _, is_folder in self._listed(folder) if is_folder]

    def read(self, path: str) -> bytes:
        pieces: dict[int, bytes] = {}
        with _errors():
            self._load(path, pieces.__setitem__)
        return b"".join(pieces[offset] for offset in sorted(pieces))

    def get(self, path: str, file: str) -> None:
        with _errors():
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
            try:
                self._load(path, lambda offset, data: _write(descriptor, data, offset))
            finally:
                os.close(descriptor)

    def put(self, file: str, path: str) -> None:
        with _errors():
            temporary, final = self._path(f"incoming/{secrets.token_hex(8)}"), self._path(path)
            for name in (temporary, final):
                self._make(name.rpartition("/")[0])
            try:
                with open(file, "rb") as source:
                    self._store(source.fileno(), temporary)
                self._move(temporary, final)
            except BaseException:
                with contextlib.suppress(OSError, Unreachable):
                    self._done(self._ask(REMOVE, _text(temporary)))
                raise

    def remove(self, path: str) -> None:
        with _errors(), contextlib.suppress(FileNotFoundError):
            self._done(self._ask(REMOVE, _text(self._path(path))))

    # What is asked

    def _listed(self, folder: str) -> list[tuple[str, int, float, bool]]:
        found: list[tuple[str, int, float, bool]] = []
        with _errors():
            try:
                handle = self._handle(self._ask(OPENDIR, _text(self._path(folder))))
            except FileNotFoundError:
                return found
            try:
                while True:
                    kind, body = self._ask(READDIR, handle)
                    if kind == STATUS and _code(body) == EOF:
                        return found
                    if kind != NAME:
                        self._done((kind, body))
                    found += [row for row in _names(body) if row[0] not in (".", "..")]
            finally:
                self._done(self._ask(CLOSE, handle))

    def _load(self, path: str, write: Callable[[int, bytes], object]) -> None:
        """Read a file: as many requests ahead as keep the line busy; what comes short is asked for again."""
        handle = self._handle(self._ask(OPEN, _text(self._path(path)) + struct.pack(">II", READING, 0)))
        answers: queue.SimpleQueue[tuple[int, Reply | None]] = queue.SimpleQueue()
        try:
            kind, body = self._ask(FSTAT, handle)
            if kind != ATTRS:
                self._done((kind, body))
            left = _attributes(body, 0)[0]
            chunk = self._chunk()
            asked: dict[int, tuple[int, int]] = {}
            offset = 0
            while offset < left or asked:
                while offset < left and len(asked) * chunk < AHEAD:
                    length = min(chunk, left - offset)
                    asked[self._send(READ, handle + struct.pack(">QI", offset, length), answers)] = offset, length
                    offset += length
                number, reply = answers.get()
                start, length = asked.pop(number)
                kind, body = self._replied(reply)
                if kind != DATA:
                    self._done((kind, body))
                    raise OSError(f"{path}: it became shorter meanwhile")
                data = body[4:]
                write(start, data)
                if not data:
                    raise OSError(f"{path}: nothing was read")
                if len(data) < length:
                    rest = start + len(data), length - len(data)
                    asked[self._send(READ, handle + struct.pack(">QI", *rest), answers)] = rest
        finally:
            self._done(self._ask(CLOSE, handle))

    def _store(self, descriptor: int, path: str) -> None:
        """Write a file, and have the host make it durable where it can."""
        handle = self._handle(self._ask(OPEN, _text(path) + struct.pack(">II", CREATING, 0)))
        answers: queue.SimpleQueue[tuple[int, Reply | None]] = queue.SimpleQueue()
        try:
            asked = offset = 0
            chunk = self._chunk()
            while data := os.read(descriptor, chunk):
                self._send(WRITE, handle + struct.pack(">QI", offset, len(data)) + data, answers)
                offset += len(data)
                asked += 1
                if asked * chunk >= AHEAD:
                    self._done(self._replied(answers.get()[1]))
                    asked -= 1
            for _ in range(asked):
                self._done(self._replied(answers.get()[1]))
            if b"fsync@openssh.com" in self._extensions:
                self._done(self._ask(EXTENDED, _text("fsync@openssh.com") + handle))
        finally:
            self._done(self._ask(CLOSE, handle))

    def _move(self, old: str, new: str) -> None:
        both = _text(old) + _text(new)
        if b"posix-rename@openssh.com" in self._extensions:
            self._done(self._ask(EXTENDED, _text("posix-rename@openssh.com") + both))
            return
        try:
            self._done(self._ask(RENAME, both))
        except OSError:
            if self._ask(STAT, _text(new))[0] != ATTRS:  # else somebody else put the same bytes there meanwhile
                raise
            self._done(self._ask(REMOVE, _text(old)))

    def _make(self, folder: str) -> None:
        if not folder or folder in self._made or self._ask(STAT, _text(folder))[0] == ATTRS:
            self._made.add(folder)
            return
        self._make(folder.rpartition("/")[0])
        kind, body = self._ask(MKDIR, _text(folder) + struct.pack(">I", 0))
        if _code(body) != OK and self._ask(STAT, _text(folder))[0] != ATTRS:  # else somebody else made it meanwhile
            self._done((kind, body))
        self._made.add(folder)

    def _path(self, path: str) -> str:
        return f"{self.root}/{path}"

    def _chunk(self) -> int:
        return LARGE_CHUNK if b"limits@openssh.com" in self._extensions else CHUNK

    # How it is asked

    def _ask(self, kind: int, body: bytes) -> Reply:
        answers: queue.SimpleQueue[tuple[int, Reply | None]] = queue.SimpleQueue()
        self._send(kind, body, answers)
        return self._replied(answers.get()[1])

    def _send(self, kind: int, body: bytes, answers: queue.SimpleQueue[tuple[int, Reply | None]]) -> int:
        process = self._started()
        if len(self._threads) < 2:
            raise self._gone()  # it never came so far as to answer
        number = next(self._numbers)
        assert process.stdin is not None
        with self._lock:
            self._waiting[number] = answers
            if process.poll() is not None:
                raise self._gone()
            try:
                process.stdin.write(struct.pack(">IBI", len(body) + 5, kind, number) + body)
                process.stdin.flush()
            except OSError:
                raise self._gone() from None
        return number

    def _replied(self, reply: Reply | None) -> Reply:
        if reply is None:
            raise self._gone()
        return reply

    def _gone(self) -> Unreachable:
        assert self._process is not None
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
            self._threads[0].join(1)  # what ssh said last
        words = self._words.decode("utf-8", "replace").strip().splitlines()
        return Unreachable(f"ssh: {words[-1] if words else 'the connection was closed'}")

    def _handle(self, reply: Reply) -> bytes:
        kind, body = reply
        if kind != HANDLE:
            self._done(reply)
        return body

    def _done(self, reply: Reply) -> None:
        """Raise what a reply that is not what was hoped for says."""
        kind, body = reply
        if kind != STATUS:
            raise OSError(f"an answer of kind {kind}")
        if (code := _code(body)) == NO_SUCH_FILE:
            raise FileNotFoundError
        if code != OK:
            length = struct.unpack_from(">I", body, 4)[0]
            raise OSError(body[8 : 8 + length].decode("utf-8", "replace") or f"status {code}")

    def _started(self) -> subprocess.Popen[bytes]:
        with self._starting:
            if self._process is None:
                pipe = subprocess.PIPE
                self._process = process = subprocess.Popen(
                    self.command, bufsize=1 << 18, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True
                )
                listening = threading.Thread(target=_listen_to_words, args=(process.stderr, self._words), daemon=True)
                listening.start()
                self._threads.append(listening)
                self._greet(process)
                listening = threading.Thread(target=_listen, args=(process, self._waiting, self._lock), daemon=True)
                listening.start()
                self._threads.append(listening)
            return self._process

    def _greet(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None and process.stdout is not None
        try:
            process.stdin.write(struct.pack(">IBI", 5, INIT, 3))
            process.stdin.flush()
            length, kind = struct.unpack(">IB", _exactly(process.stdout, 5))
            body = _exactly(process.stdout, length - 1) if 5 <= length < 1 << 16 and kind == VERSION else b""
        except (OSError, EOFError):
            raise self._gone() from None
        if len(body) < 4:
            process.kill()
            raise Unreachable("ssh: the host does not speak SFTP")
        at = 4
        while at < len(body):
            name, at = _string(body, at)
            _, at = _string(body, at)
            self._extensions.add(name)

    def __del__(self) -> None:
        process = self._process
        if process is None:
            return
        process.kill()
        process.wait()
        for thread in self._threads:
            thread.join(5)
        for stream in (process.stdin, process.stdout, process.stderr):
            with contextlib.suppress(OSError):
                if stream is not None:
                    stream.close()


def _listen(
    process: subprocess.Popen[bytes],
    waiting: dict[int, queue.SimpleQueue[tuple[int, Reply | None]]],
    lock: threading.Lock,
) -> None:
    """Give every reply to whoever waits for it; at the end, tell all who wait that there will be none."""
    stream: Any = process.stdout
    with contextlib.suppress(OSError, EOFError, struct.error):
        while True:
            length, kind, number = struct.unpack(">IBI", _exactly(stream, 9))
            body = _exactly(stream, length - 5)
            answers = waiting.pop(number, None)
            if answers is not None:
                answers.put((number, (kind, body)))
    with lock:
        process.kill()
        process.wait()
        for number, answers in waiting.items():
            answers.put((number, None))
        waiting.clear()


def _listen_to_words(stream: Any, words: bytearray) -> None:
    for line in stream:
        words += line
        del words[:-4000]


def _exactly(stream: Any, length: int) -> bytes:
    data: bytes = stream.read(length)
    if len(data) < length:
        raise EOFError
    return data


def _write(descriptor: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written


def _text(value: str) -> bytes:
    data = value.encode("utf-8", "surrogateescape")
    return struct.pack(">I", len(data)) + data


def _string(body: bytes, at: int) -> tuple[bytes, int]:
    (length,) = struct.unpack_from(">I", body, at)
    return body[at + 4 : at + 4 + length], at + 4 + length


def _code(body: bytes) -> int:
    return int(struct.unpack_from(">I", body)[0])


def _names(body: bytes) -> Iterator[tuple[str, int, float, bool]]:
    (count,) = struct.unpack_from(">I", body)
    at = 4
    for _ in range(count):
        name, at = _string(body, at)
        _, at = _string(body, at)
        size, since, is_folder, at = _attributes(body, at)
        yield name.decode("utf-8", "surrogateescape"), size, since, is_folder


def _attributes(body: bytes, at: int) -> tuple[int, float, bool, int]:
    """Size, time of the last change, whether it is a folder; and where the attributes end."""
    (flags,) = struct.unpack_from(">I", body, at)
    at += 4
    size = mode = since = 0
    if flags & SIZE:
        (size,) = struct.unpack_from(">Q", body, at)
        at += 8
    if flags & OWNER:
        at += 8
    if flags & MODE:
        (mode,) = struct.unpack_from(">I", body, at)
        at += 4
    if flags & TIMES:
        (since,) = struct.unpack_from(">I", body, at + 4)
        at += 8
    if flags & MORE:
        (count,) = struct.unpack_from(">I", body, at)
        at += 4
        for _ in range(2 * count):
            _, at = _string(body, at)
    return size, float(since), mode & 0o170000 == 0o040000, at
