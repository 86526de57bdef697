"""A disk that keeps a log of what is written to it and when it is flushed, so that the power can be cut at any moment.

It is a file served over FUSE, with a loop device and a file system on it. What was written before the last flush is
durable; of what came later, a disk with a cache has any part. Run as a program, it is the file's server.
"""

from __future__ import annotations

import ctypes
import os
import random
import shutil
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

MAKE = {
    "ext4": ("64M", "mkfs.ext4", "-q", "-F", "-b", "4096", "-E", "nodiscard"),
    "xfs": ("304M", "mkfs.xfs", "-q", "-f", "-K"),
}
WRITE, FLUSH = 1, 2
RECORD = struct.Struct("<BQI")  # kind, offset, length; the data follow
WHOLE = 4096  # bytes, aligned, that a disk writes or does not: the superblock of ext4 relies on it


@dataclass(frozen=True)
class Record:
    """A write or a flush; `end` is the length of the log with it."""

    kind: int
    offset: int
    data: bytes
    end: int


@dataclass(frozen=True)
class Cut:
    """A power cut after so many records; `seed` chooses what else of the disk's cache was written, None all of it."""

    records: int
    seed: int | None


@dataclass(frozen=True)
class Disk:
    """A mounted file system, the log of its disk, and the image that it began with."""

    mounted: Path
    log: Path
    blank: Path
    kind: str

    def position(self) -> int:
        """How long the log is now: whatever was durable by then is durable at every later cut."""
        return self.log.stat().st_size


@cache
def why_not(kind: str) -> str:
    """Why no such disk can be had here; empty where it can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "needs Linux, and the right to mount"
    for tool in (MAKE[kind][1], "losetup", "mount"):
        if shutil.which(tool, path=f"{os.environ.get('PATH', '')}:/sbin:/usr/sbin") is None:
            return f"needs {tool}"
    if not os.access("/dev/fuse", os.W_OK):
        return "needs /dev/fuse"
    done = subprocess.run(["losetup", "-f"], capture_output=True, text=True)
    return "" if done.returncode == 0 else f"needs a loop device: {done.stderr.strip()}"


@contextmanager
def disk(folder: Path, kind: str) -> Iterator[Disk]:
    """A file system of a kind on a logged disk, mounted in a folder."""
    size, *make = MAKE[kind]
    blank, served, mounted, log = (folder / name for name in ("blank", "served", "mounted", "log"))
    with blank.open("wb") as stream:
        stream.truncate(int(size[:-1]) << 20)
    subprocess.run([*make, str(blank)], check=True, capture_output=True)
    served.touch()
    log.touch()
    mounted.mkdir()
    with ExitStack() as stack:
        command = [sys.executable, __file__, str(blank), str(served), str(log)]
        server = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        assert server.stdout is not None
        assert server.stdout.readline() == "serving\n"
        stack.callback(subprocess.run, ["umount", str(served)], check=True)
        stack.enter_context(_mounted(served, mounted, kind))
        yield Disk(mounted, log, blank, kind)


@contextmanager
def _mounted(image: Path, folder: Path, kind: str) -> Iterator[None]:
    done = subprocess.run(["losetup", "-f", "--show", str(image)], check=True, capture_output=True, text=True)
    device = done.stdout.strip()
    try:
        options = ["-o", "nouuid"] if kind == "xfs" else []
        subprocess.run(["mount", "-t", kind, *options, device, str(folder)], check=True, capture_output=True, text=True)
        try:
            yield
        finally:
            subprocess.run(["umount", str(folder)], check=True)
    finally:
        subprocess.run(["losetup", "-d", device], check=True)


def records(log: Path) -> list[Record]:
    """What was logged."""
    data = memoryview(log.read_bytes())
    found = []
    place = 0
    while place < len(data):
        kind, offset, length = RECORD.unpack_from(data, place)
        place += RECORD.size + length
        found.append(Record(kind, offset, bytes(data[place - length : place]), place))
    return found


@contextmanager
def after(cut: Cut, of: Disk, written: list[Record], folder: Path) -> Iterator[Path]:
    """The file system as a power cut left it, mounted."""
    folder.mkdir()
    image = folder / "image"
    subprocess.run(["cp", "--sparse=always", str(of.blank), str(image)], check=True)
    before = written[: cut.records]
    flushed = max((number for number, record in enumerate(before) if record.kind == FLUSH), default=0)
    chance = random.Random(cut.seed)
    with image.open("r+b", buffering=0) as stream:
        for number, record in enumerate(before):
            if record.kind != WRITE:
                continue
            if number < flushed or cut.seed is None:
                stream.seek(record.offset)
                stream.write(record.data)
            elif chance.random() < 0.5:  # all of it, or the start
                start, end = record.offset, record.offset + len(record.data)
                if chance.random() < 0.2:
                    end = min(end, chance.randint(start // WHOLE, end // WHOLE) * WHOLE)
                stream.seek(start)
                stream.write(record.data[: max(0, end - start)])
    mounted = folder / "mounted"
    mounted.mkdir()
    with _mounted(image, mounted, of.kind):
        yield mounted
    shutil.rmtree(folder)


# The server: FUSE's protocol, as far as one file needs it

LOOKUP, GETATTR, OPEN, READ, WRITES, STATFS, RELEASE, FSYNC, FLUSHES, INIT = 1, 3, 14, 15, 16, 17, 18, 20, 25, 26
FORGET, BATCH_FORGET, INTERRUPT, DESTROY = 2, 42, 36, 38
DIRECT = 1  # no cache of pages between the loop device and us
LONGEST = 128 << 10
ENOSYS = 38


def serve(blank: Path, served: Path, log: Path) -> None:
    """Serve an image as a file until it is unmounted."""
    image = bytearray(blank.read_bytes())
    device = os.open("/dev/fuse", os.O_RDWR)
    options = f"fd={device},rootmode=100000,user_id=0,group_id=0,max_read={LONGEST}"
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"spritebuild-test", os.fsencode(served), b"fuse", 0, options.encode()) != 0:
        raise OSError(ctypes.get_errno(), "mount")
    print("serving", flush=True)
    with log.open("ab", buffering=0) as stream:
        while True:
            try:
                message = os.read(device, LONGEST + 4096)
            except OSError as error:
                if error.errno == 19:  # ENODEV: unmounted
                    return
                if error.errno in (2, 4):  # the request was interrupted
                    continue
                raise
            _, opcode, unique, _ = struct.unpack_from("<IIQQ", message)
            if opcode in (FORGET, BATCH_FORGET, INTERRUPT):
                continue
            reply = _answer(opcode, message[40:], image, stream)
            head = struct.pack("<IiQ", 16 + len(reply or b""), -ENOSYS if reply is None else 0, unique)
            os.write(device, head + (reply or b""))
            if opcode == DESTROY:
                return


def _answer(opcode: int, body: bytes, image: bytearray, log: object) -> bytes | None:
    if opcode == INIT:
        return struct.pack("<IIIIHHII", 7, 23, 1 << 20, 1 << 5, 16, 12, LONGEST, 1) + bytes(36)
    if opcode == GETATTR:
        now = int(time.time())
        times = struct.pack("<QQQIII", now, now, now, 0, 0, 0)
        attributes = struct.pack("<QQQ", 1, len(image), len(image) // 512) + times
        attributes += struct.pack("<IIIIIII", 0o100600, 1, 0, 0, 0, 4096, 0)
        return struct.pack("<QII", 3600, 0, 0) + attributes
    if opcode == OPEN:
        return struct.pack("<QII", 1, DIRECT, 0)
    if opcode == READ:
        _, offset, size = struct.unpack_from("<QQI", body)
        return bytes(image[offset : offset + size])
    if opcode == WRITES:
        _, offset, size = struct.unpack_from("<QQI", body)
        data = body[40 : 40 + size]
        image[offset : offset + size] = data
        log.write(RECORD.pack(WRITE, offset, size) + data)  # type: ignore[attr-defined]
        return struct.pack("<II", size, 0)
    if opcode == FSYNC:
        log.write(RECORD.pack(FLUSH, 0, 0))  # type: ignore[attr-defined]
        return b""
    if opcode in (FLUSHES, RELEASE, DESTROY):
        return b""
    if opcode == STATFS:
        return bytes(80)
    return None


if __name__ == "__main__":
    serve(*map(Path, sys.argv[1:4]))
