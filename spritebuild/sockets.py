"""Where sockets lie that are nobody's but this user's."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat

LONGEST = 90  # bytes of a socket's name; ssh makes one that is longer by 17 first, of the 107 that there may be


def place(name: str, *, make: bool = False) -> str:
    """A path for the socket of this name, in a folder that only this user may enter. Raises OSError without one.

    The folder is made, if that is asked for.
    """
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    folder = f"{runtime}/spritebuild" if runtime else f"/tmp/spritebuild-{os.getuid()}"
    if make:
        with contextlib.suppress(FileExistsError):
            os.mkdir(folder, 0o700)
    found = os.lstat(folder)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise PermissionError(f"{folder} is not this user's alone")
    path = f"{folder}/{hashlib.sha256(name.encode('utf-8', 'surrogateescape')).hexdigest()[:20]}"
    if len(os.fsencode(path)) > LONGEST:
        raise OSError(f"{path} is too long for a socket's name")
    return path
