"""Every kind of place keeps the same promises, over real servers: ours beside DVC's file systems."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from shared_races import race
from shared_servers import SERVERS, Server

from spritebuild.shared.places import Place, Unreachable, remotes, s3, sftp
from spritebuild.shared.places.distant import Distant
from spritebuild.shared.places.folder import Folder
from spritebuild.shared.transport import at

# DVC's file systems leave their connections to the interpreter
pytestmark = pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning")
OURS = {"local": Folder, "ssh": sftp.Sftp, "webdav": Distant, "s3": s3.S3}


@pytest.fixture(scope="module", params=SERVERS)
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Server]]:
    with SERVERS[request.param](tmp_path_factory.mktemp(request.param)) as server:
        yield request.param, server


@pytest.fixture(autouse=True)
def nothing_left_for_others() -> Iterator[None]:
    yield
    gc.collect()


def below(server: Server, name: str, root: Path) -> str:
    """The URL of an empty folder of a server."""
    if server.folder is not None:
        (server.folder / name).mkdir()
    there = Server({**server.remote, "url": f"{server.remote['url'].rstrip('/')}/{name}"}, None)
    if "://" not in there.remote["url"]:
        return there.remote["url"]
    there.configure(root)
    return "remote://team"


@pytest.fixture(params=["ours", "dvc"])
def place(request: pytest.FixtureRequest, served: tuple[str, Server], tmp_path: Path) -> Place:
    kind, server = served
    url = below(server, f"{request.param}-{time.monotonic_ns()}", tmp_path)
    if request.param == "ours":
        found = at(url, tmp_path)
        assert type(found) is OURS[kind]
        return found
    if kind in ("local", "webdav") or os.environ.get("SPRITEBUILD_SERVERS") != "all":
        pytest.skip("there is but one, or only ours is tried")
    return Distant(url, tmp_path)


def put(place: Place, folder: Path, path: str, data: bytes) -> None:
    file = folder / f"{time.monotonic_ns()}"
    file.write_bytes(data)
    place.put(str(file), path)


def test_what_was_put_is_there(place: Place, tmp_path: Path) -> None:
    sizes = {"empty": 0, "one": 1, "some": 70_000, "large": 5_000_001}
    bytes_of = {name: os.urandom(size) for name, size in sizes.items()}
    began = time.time()
    for name, data in bytes_of.items():
        put(place, tmp_path, f"blobs/ab/{name}", data)
    there = place.files("blobs/ab")
    assert {name: file.size for name, file in there.items()} == sizes
    assert all(began - 5 < file.since < time.time() + 5 for file in there.values())
    assert place.folders("blobs") == ["ab"] and place.files("blobs") == {}
    for name, data in bytes_of.items():
        assert place.read(f"blobs/ab/{name}") == data
        place.get(f"blobs/ab/{name}", str(tmp_path / name))
        assert (tmp_path / name).read_bytes() == data
    assert place.files("incoming") == {}


def test_what_is_absent_is_said_to_be(place: Place, tmp_path: Path) -> None:
    assert place.files("nowhere/at/all") == {} and place.folders("nowhere") == []
    for call in (lambda: place.read("nowhere/it"), lambda: place.get("nowhere/it", str(tmp_path / "it"))):
        with pytest.raises(FileNotFoundError):
            call()
    place.remove("nowhere/it")


def test_what_is_removed_is_gone_and_may_come_back(place: Place, tmp_path: Path) -> None:
    for data in (b"once", b"again"):
        put(place, tmp_path, "packs/it", data)
        assert place.read("packs/it") == data
        place.remove("packs/it")
        assert place.files("packs") == {}


def test_many_at_once_and_the_same_twice(place: Place, tmp_path: Path) -> None:
    files = [tmp_path / str(number) for number in range(8)]
    for number, file in enumerate(files):
        file.write_bytes(bytes([number]) * 40_000)
    with ThreadPoolExecutor(place.jobs) as pool:
        [*pool.map(lambda file: place.put(str(file), f"x/{file.name}/it"), files + files)]
        found = [*pool.map(lambda file: place.read(f"x/{file.name}/it"), files)]
    assert found == [file.read_bytes() for file in files]
    assert sorted(place.folders("x"), key=int) == [file.name for file in files]


@pytest.mark.slow
def test_pushers_and_a_collector_at_once_lose_nothing(served: tuple[str, Server], tmp_path: Path) -> None:
    _, server = served
    url = below(server, f"race-{time.monotonic_ns()}", tmp_path)
    removed, lost = race(lambda: at(url, tmp_path), tmp_path, pushers=2, rounds=2)
    assert removed > 0 and lost == 0


def test_a_host_that_does_not_answer_is_unreachable(tmp_path: Path) -> None:
    place = at("ssh://nobody@127.0.0.1:9/nowhere", tmp_path)
    assert isinstance(place, sftp.Sftp)
    for _ in range(2):
        with pytest.raises(Unreachable, match=r"(?i)ssh.*refused"):
            place.files("blobs")


def test_a_connection_is_kept_for_whoever_asks_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with SERVERS["ssh"](tmp_path) as server:

        def connections() -> int:
            """After somebody has looked there once more."""
            server.configure(tmp_path)
            assert at("remote://team", tmp_path).folders("") == []
            gc.collect()
            return (tmp_path / "log").read_text("utf-8", "replace").count("Accepted publickey")

        assert [connections(), connections()] == [1, 1]
        *options, _, host, _ = at("remote://team", tmp_path).command  # type: ignore[attr-defined]
        said = subprocess.run([*options, "-O", "check", host], capture_output=True, encoding="utf-8").stderr
        os.kill(int(said.partition("pid=")[2].partition(")")[0]), signal.SIGKILL)
        assert [connections(), connections()] == [2, 2]  # the socket that it left is in nobody's way
        subprocess.run([*options, "-O", "exit", host], capture_output=True, check=True)
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "none" / "such"))
        assert [connections(), connections()] == [3, 4]  # a folder of one's own is what it takes


@pytest.mark.parametrize(
    ("configured", "command", "kept"),
    [
        ("", "", True),
        ("ControlPath ~/.ssh/%C", "", False),
        ("ControlMaster auto\nControlPath ~/.ssh/%C", "", False),
        ("", "-o ControlMaster=no", False),
        ("", "-S none", True),
    ],
)
def test_who_says_how_connections_are_shared_is_heard(
    configured: str, command: str, kept: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shutil.which("ssh") is None:
        pytest.skip("no ssh is installed")
    (tmp_path / "config").write_text(f"Host *\n{configured}\n")
    monkeypatch.setenv(sftp.COMMAND, f"ssh -F {tmp_path / 'config'} {command}")
    place = sftp.at({"url": "ssh://host/x"})
    assert place is not None
    assert any(word.startswith("ControlPersist=") for word in place.command) == kept


def test_what_only_dvc_understands_is_left_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*s3.ELSEWHERE, *s3.PROXIES, "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID"):
        monkeypatch.delenv(name, raising=False)
    plain = {"url": "s3://team/x", "region": "eu-west-1", "access_key_id": "a", "secret_access_key": "b"}
    never = lambda: pytest.fail("not asked for")  # noqa: E731
    assert s3.at(plain, never) is not None
    for more in ({"profile": "me"}, {"acl": "private"}, {"url": "s3://te.am/x"}, {"secret_access_key": ""}):
        assert s3.at({**plain, **more}, never) is None
    assert s3.at({name: value for name, value in plain.items() if name != "region"}, never) is None
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy")
    assert s3.at(plain, never) is None
    assert s3.at({**plain, "endpointurl": "http://127.0.0.1:9"}, never) is not None
    assert sftp.at({"url": "ssh://host/x", "keyfile": "~/key", "port": "22"}) is not None
    for said in ({"url": "ssh://me:secret@host/x"}, {"url": "ssh://host/x", "password": "x"}, {"url": "ssh://-oX/y"}):
        assert sftp.at(said) is None


def test_the_settings_of_a_remote_are_read_as_dvc_reads_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dvc.config import Config

    monkeypatch.setenv("DVC_GLOBAL_CONFIG_DIR", str(tmp_path / "global"))
    monkeypatch.setenv("DVC_SYSTEM_CONFIG_DIR", str(tmp_path / "system"))
    (tmp_path / ".dvc").mkdir()
    for folder, lines in {
        "system": "url = ssh://a/x\nuser = system\nport = 1\n",
        "global": "user = global\nport = 2\n",
    }.items():
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "config").write_text(f"['remote \"team\"']\n{lines}")
    (tmp_path / ".dvc/config").write_text(
        "[core]\n    remote = team\n['remote \"team\"']\n    port = 3\n['remote \"other\"']\n    url = s3://b\n"
    )
    (tmp_path / ".dvc/config.local").write_text("['remote \"team\"']\n    keyfile = /home/me/key\n")
    said = remotes.remote("remote://team", tmp_path)
    assert said == {"url": "ssh://a/x", "user": "global", "port": "3", "keyfile": "/home/me/key"}
    theirs = Config(str(tmp_path / ".dvc"))["remote"]["team"]
    assert {name: str(theirs[name]) for name in said} == said
    assert remotes.remote("remote://absent", tmp_path) is None
    (tmp_path / ".dvc/config.local").write_text('[\'remote "team"\']\n    keyfile = "/a, b"\n')
    assert remotes.remote("remote://team", tmp_path) is None
