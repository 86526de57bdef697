"""Real servers for a shared store, each with a DVC remote called `team` that leads to it: ssh, WebDAV, S3, a folder."""

from __future__ import annotations

import contextlib
import getpass
import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

WEBDAV = """
import sys
from cheroot import wsgi
from wsgidav.wsgidav_app import WsgiDAVApp
port, folder = int(sys.argv[1]), sys.argv[2]
users = {"*": {"artist": {"password": "pencil"}}}
app = WsgiDAVApp({
    "provider_mapping": {"/": folder}, "simple_dc": {"user_mapping": users}, "verbose": 0, "logging": {"enable": False},
    "lock_storage": True, "property_manager": True,
})
wsgi.Server(("127.0.0.1", port), app, numthreads=16).start()
"""


@dataclass(frozen=True)
class Server:
    """A running server: what its remote is configured as, and the folder where its files lie, if they lie in one."""

    remote: dict[str, str]
    folder: Path | None

    def configure(self, root: Path, name: str = "team") -> None:
        """Let the DVC configuration of a project name the server."""
        (root / ".dvc").mkdir(exist_ok=True)
        lines = "".join(f"    {key} = {value}\n" for key, value in self.remote.items())
        (root / ".dvc/config").write_text(f"[core]\n    analytics = false\n['remote \"{name}\"']\n{lines}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def listening(port: int, *command: str, log: Path, **environment: str) -> Iterator[None]:
    """A process that listens on a port of this machine by the time that the body runs."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env={**os.environ, **environment})
    try:
        until = time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"{command[0]} does not listen:\n{log.read_text('utf-8', 'replace')}")
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(20)


@contextlib.contextmanager
def ssh(folder: Path) -> Iterator[Server]:
    """OpenSSH's sshd, with a key of its own for this user."""
    sshd = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")
    sftp = next(
        (path for path in ("/usr/lib/openssh/sftp-server", "/usr/libexec/sftp-server") if Path(path).exists()),
        "internal-sftp",
    )
    if sshd is None or shutil.which("ssh-keygen") is None:
        pytest.skip("no sshd is installed")
    needs("dvc_ssh")
    for key in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / key], check=True)
    shutil.copy(folder / "user.pub", folder / "authorized")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # for privilege separation
    port = free_port()
    (folder / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/authorized\n"
        f"StrictModes no\nUsePAM no\nPidFile none\nPermitRootLogin yes\nMaxStartups 100\nSubsystem sftp {sftp}\n"
    )
    files = folder / "files"
    files.mkdir()
    before = os.environ.get("SPRITEBUILD_SSH")
    os.environ["SPRITEBUILD_SSH"] = f"ssh -o UserKnownHostsFile={folder}/known -o StrictHostKeyChecking=accept-new"
    try:
        with listening(port, sshd, "-D", "-e", "-f", str(folder / "sshd_config"), log=folder / "log"):
            url = f"ssh://{getpass.getuser()}@127.0.0.1:{port}{files}"
            yield Server({"url": url, "keyfile": str(folder / "user")}, files)
    finally:
        if before is None:
            os.environ.pop("SPRITEBUILD_SSH")
        else:
            os.environ["SPRITEBUILD_SSH"] = before


@contextlib.contextmanager
def webdav(folder: Path) -> Iterator[Server]:
    """WsgiDAV behind cheroot, with a user and a password."""
    needs("dvc_webdav", "wsgidav", "cheroot")
    port = free_port()
    files = folder / "files"
    files.mkdir()
    (folder / "serve.py").write_text(WEBDAV)
    command = (sys.executable, str(folder / "serve.py"), str(port), str(files))
    with listening(port, *command, log=folder / "log"):
        yield Server({"url": f"webdav://127.0.0.1:{port}/", "user": "artist", "password": "pencil"}, files)


@contextlib.contextmanager
def s3(folder: Path) -> Iterator[Server]:
    """moto's server, with a bucket."""
    needs("dvc_s3", "moto", "boto3", "flask")
    import boto3

    port = free_port()
    command = (sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port))
    keys = {"access_key_id": "artist", "secret_access_key": "pencil"}
    with listening(port, *command, log=folder / "log"):
        client = boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{port}",
            region_name="us-east-1",
            **{f"aws_{name}": value for name, value in keys.items()},
        )
        client.create_bucket(Bucket="team")
        yield Server(
            {"url": "s3://team/store", "endpointurl": f"http://127.0.0.1:{port}", "region": "us-east-1", **keys}, None
        )


@contextlib.contextmanager
def local(folder: Path) -> Iterator[Server]:
    """No server: a folder."""
    files = folder / "files"
    files.mkdir()
    yield Server({"url": str(files)}, files)


def needs(*packages: str) -> None:
    """Skip where a package is not installed."""
    for package in packages:
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")


SERVERS: dict[str, Callable[[Path], contextlib.AbstractContextManager[Server]]] = {
    "local": local,
    "ssh": ssh,
    "webdav": webdav,
    "s3": s3,
}
