"""A worker's place on another machine, without a cluster: what comes, what is made and signed, what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from projects import DREAM, ISLAND, Project

from spritebuild import digest
from spritebuild.elsewhere.outpost import FOLDER, Outpost
from spritebuild.elsewhere.shipping import Order, Setup, Shelf
from spritebuild.errors import PolicyError
from spritebuild.project import opened
from spritebuild.shared import signed, supply
from spritebuild.shared.store import Shared
from spritebuild.shared.transport import at

SECRET, PUBLIC = signed.new_key()
OUTPUTS = (("image", "image.png"),)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Another machine's folder; the shared store is in `shared`."""
    (tmp_path / "shared").mkdir()
    monkeypatch.setenv(FOLDER, str(tmp_path / "machine"))
    monkeypatch.setenv(supply.KEY, SECRET)
    monkeypatch.delenv(supply.URL, raising=False)
    return tmp_path


@pytest.fixture
def setup(island: Project, machine: Path) -> Setup:
    """The island's own stages, in the shared store."""
    island.write({**ISLAND, "store": {"url": "../shared", "trusted": [PUBLIC]}})
    with opened(island.path) as project:
        shelf = Shelf(project)
        own = shelf.folder(island.root / "stages")
        Shared(at("../shared", island.root), "../shared", shelf).push(shelf.blobs_of([own]), {}, {})
    return Setup("island", str(machine / "shared"), (PUBLIC,), 1, own)


def order(seed: int, prompt: str = "coin", fresh: bool = False) -> Order:
    params = {"prompt": prompt, "seed": seed}
    return Order(f"sprites.{prompt}-{seed}", digest.of_value(params), params, {}, {}, {}, OUTPUTS, fresh)


def run(outpost: Outpost, kind: str, *orders: Order) -> list[dict[str, Any]]:
    return list(outpost.run(kind, orders))


def told(messages: list[dict[str, Any]], word: str) -> list[int]:
    return sorted(message[word] for message in messages if word in message)


def outputs(message: dict[str, Any]) -> dict[str, str]:
    return dict(json.loads(json.loads(message["trace"])["trace"])["outputs"])


def test_what_is_made_is_signed_and_there_before_it_is_told(setup: Setup, machine: Path) -> None:
    outpost = Outpost(setup)
    messages = []
    for message in outpost.run("dream", [order(seed) for seed in range(3)]):
        messages.append(message)
        if "done" in message:
            key = order(message["done"]).key
            found, provenance = signed.read(message["trace"].encode(), key, [PUBLIC])
            assert outpost.shared.there(found.values()) == {*found.values()}
            assert outpost.shared.traces([key])[key].outputs == found
            assert provenance["platform"]["driver"] == "one" and provenance["versions"]["python"]
    assert told(messages, "done") == [0, 1, 2] and messages[-1] == {"end": True}


def test_nobody_makes_again_what_is_there(setup: Setup) -> None:
    first = run(Outpost(setup), "dream", order(0), order(1))
    again = run(Outpost(setup), "dream", order(1), order(2))
    assert told(again, "known") == [0] and told(again, "done") == [1]
    (known,) = (message for message in again if "known" in message)
    assert outputs(known) in [outputs(message) for message in first if "done" in message]


def test_what_is_asked_for_afresh_is_made_again(setup: Setup) -> None:
    run(Outpost(setup), "dream", order(0))
    assert told(run(Outpost(setup), "dream", order(0, fresh=True)), "done") == [0]


def test_a_trace_whose_bytes_are_gone_counts_for_nothing(setup: Setup, machine: Path) -> None:
    run(Outpost(setup), "dream", order(0))
    for path in (machine / "shared").glob("blobs/*/*"):
        if path.read_bytes().startswith(b"\x89PNG"):
            path.unlink()
    assert told(run(Outpost(setup), "dream", order(0)), "done") == [0]


def test_an_input_comes_from_the_store_and_one_that_is_nowhere_is_named(setup: Setup) -> None:
    (made,) = (m for m in run(Outpost(setup), "dream", order(0)) if "done" in m)
    image = outputs(made)["image"]

    def inverted(artifact: str) -> Order:
        return Order(
            "i",
            digest.of_bytes(artifact.encode()),
            {},
            {"image": artifact},
            frozenset(),
            {"image": "sprites.coin"},
            OUTPUTS,
        )

    messages = run(Outpost(setup), "invert", inverted(image), inverted("0" * 64))
    assert told(messages, "done") == [0]
    assert {"missing": 1, "artifact": "0" * 64} in messages


def test_a_failure_leaves_what_was_made_before_it(setup: Setup) -> None:
    messages = run(Outpost(setup), "dream", order(0), order(1, "fail"), order(2))
    assert told(messages, "done") == [0]
    assert messages[-1]["failed"] == "ValueError: a nightmare" and "traceback" in messages[-1]


def test_a_swapped_blob_is_refused(setup: Setup, machine: Path) -> None:
    (made,) = (m for m in run(Outpost(setup), "dream", order(0)) if "done" in m)
    image = outputs(made)["image"]
    path = machine / "shared/blobs" / image[:2] / image[2:]
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[::-1])
    inverted = Order("i", "1" * 64, {}, {"image": image}, {}, {"image": "sprites.coin"}, OUTPUTS)
    (message,) = run(Outpost(setup), "invert", inverted)
    assert message["kind"] == "IntegrityError" and image[:2] in str(message["facts"])


def test_a_forged_trace_is_refused(setup: Setup, machine: Path) -> None:
    other, _ = signed.new_key()
    path = machine / "shared/traces" / order(0).key[:2] / order(0).key[2:]
    path.parent.mkdir(parents=True)
    path.write_bytes(signed.write(order(0).key, "x", {"image": "0" * 64}, {}, other))
    (message,) = run(Outpost(setup), "dream", order(0))
    assert message["kind"] == "IntegrityError" and "does not trust" in str(message["facts"])


def test_workers_of_one_machine_keep_out_of_each_others_way(setup: Setup) -> None:
    one, other = Outpost(setup), Outpost(setup)
    assert one.root != other.root
    assert one.sources.root == other.sources.root


def test_it_says_who_it_is_and_not_its_key(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = Outpost(setup).facts()
    assert facts["public"] == PUBLIC and SECRET not in json.dumps(facts)
    monkeypatch.delenv(supply.KEY)
    assert Outpost(setup).facts()["public"] is None


def test_stages_come_by_content(setup: Setup, machine: Path, island: Project) -> None:
    island.stage("dream", DREAM.replace("version = 1", "version = 1 / 0"))
    assert told(run(Outpost(setup), "dream", order(0)), "done") == [0]


def test_a_folder_that_others_may_write_to_is_refused(
    setup: Setup, machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os
    import tempfile

    monkeypatch.delenv(FOLDER)
    monkeypatch.setattr(tempfile, "tempdir", str(machine))
    folder = machine / f"spritebuild-{os.getuid()}"
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(PolicyError, match="others may write there"):
        Outpost(setup)


def test_a_file_has_the_name_that_it_has_at_home(setup: Setup, island: Project, machine: Path) -> None:
    drawn = island.file("gray.hex", "000000\n888888\nffffff\n")
    (machine / "shared/blobs").mkdir(exist_ok=True)
    blob = machine / "shared/blobs" / digest.of_file(drawn)[:2] / digest.of_file(drawn)[2:]
    blob.parent.mkdir(exist_ok=True)
    blob.write_bytes(drawn.read_bytes())
    (made,) = (m for m in run(Outpost(setup), "dream", order(0)) if "done" in m)
    inputs = {"image": outputs(made)["image"], "palettes.drawn": digest.of_file(drawn)}
    params = {"ops": [{"op": "quantize", "palette": "drawn"}]}
    finish = Order("f", "2" * 64, params, inputs, {"palettes.drawn": "gray.hex"}, dict.fromkeys(inputs, "x"), OUTPUTS)
    assert told(run(Outpost(setup), "finish", finish), "done") == [0]
