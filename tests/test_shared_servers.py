"""A clone with an empty store builds many small sprites and some big ones from real servers, and runs nothing.

SPRITEBUILD_SERVERS=all has 1,000 of them; an ordinary run 100.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from projects import ISLAND, Project
from shared_servers import SERVERS, Server

from spritebuild.shared import signed, supply

SECRET, PUBLIC = signed.new_key()
MANY = 1000 if os.environ.get("SPRITEBUILD_SERVERS") == "all" else 100
WRITING = {supply.KEY: SECRET, supply.WRITE: "1"}


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Many small sprites and four of 4 MB, built once."""
    project = Project(tmp_path_factory.mktemp("many") / "island")
    sprites: dict[str, Any] = {
        "coin": {"style": "base", "prompt": "coin", "seeds": list(range(MANY))},
        "sky": {"stage": "paint", "size": [1024, 1024], "prompt": "sky", "seeds": list(range(4))},
    }
    project.write({**ISLAND, "sprites": sprites, "sheets": {}}).build(jobs=2)
    project.edit("store.trusted", [PUBLIC])
    return project


@pytest.fixture(scope="module", params=SERVERS)
def served(request: pytest.FixtureRequest, many: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that has all of it."""
    with SERVERS[request.param](tmp_path_factory.mktemp(request.param)) as server:
        if request.param == "local":
            many.edit("store.url", server.remote["url"])
        else:
            many.edit("store.url", "remote://team")
            server.configure(many.root)
        pushed = many.cli("push", "--json", **WRITING)
        assert pushed.returncode == 0, pushed.stderr
        told = json.loads(pushed.stdout)
        assert told["blobs"] == told["asked"] > 2 * MANY and told["traces"] > 2 * MANY
        yield server


def events(finished: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in finished.stdout.splitlines()]


@pytest.mark.slow
def test_a_clone_builds_it_all_and_runs_nothing(served: Server, many: Project, tmp_path: Path) -> None:
    clone = many.clone(tmp_path / "clone")
    finished = clone.cli("build", "--json", CI="true")
    assert finished.returncode == 0, finished.stderr
    assert not [event for event in events(finished) if event["event"] in ("started", "warning")]
    assert clone.assets() == many.assets() and len(clone.assets()) == MANY + 4


@pytest.mark.slow
def test_a_clone_without_a_lock_finds_it_by_signed_traces(served: Server, many: Project, tmp_path: Path) -> None:
    clone = many.clone(tmp_path / "clone", locked=False)
    finished = clone.cli("build", "--json", CI="true")
    assert finished.returncode == 0, finished.stderr
    assert not [event for event in events(finished) if event["event"] in ("started", "warning")]
    assert clone.assets() == many.assets()


@pytest.mark.slow
def test_a_second_push_moves_nothing(served: Server, many: Project) -> None:
    told = json.loads(many.cli("push", "--json", **WRITING).stdout)
    assert told["blobs"] == told["traces"] == 0 and told["hit_rate"] == 1.0


@pytest.mark.slow
def test_a_swapped_blob_is_refused_and_named(served: Server, many: Project, tmp_path: Path) -> None:
    if served.folder is None:
        pytest.skip("its files are not ours to swap")
    path = max(served.folder.glob("blobs/*/*"), key=lambda path: path.stat().st_size)
    right = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(right[::-1])
    finished = many.clone(tmp_path / "clone").cli("build", CI="true")
    path.write_bytes(right)
    assert finished.returncode == 4
    assert f"blobs/{path.parent.name}/{path.name}" in finished.stderr


@pytest.mark.slow
def test_a_server_that_is_gone_is_a_warning(served: Server, many: Project, tmp_path: Path) -> None:
    if "url" not in served.remote or served.remote["url"].startswith("/"):
        pytest.skip("no server")
    clone = many.clone(tmp_path / "clone").edit("sprites", {"one": {"style": "base", "prompt": "one"}})
    gone = {key: value.replace("127.0.0.1:", "127.0.0.1:1") for key, value in served.remote.items()}
    if gone["url"].startswith(("ssh", "webdav")):
        gone["url"] = gone["url"].split("://")[0] + "://127.0.0.1:9/nowhere"
    Server({**gone, **({"endpointurl": "http://127.0.0.1:9"} if "endpointurl" in gone else {})}, None).configure(
        clone.root
    )
    finished = clone.cli("build", CI="true")
    assert finished.returncode == 0, finished.stderr
    assert "cannot be reached" in finished.stderr and "[" in finished.stderr
