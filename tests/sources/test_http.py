"""Downloads from a real server that cuts, refuses and lies."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from loopback import Site, serving

from spritebuild import digest
from spritebuild.errors import IntegrityError, MachineError
from spritebuild.pinned.sources.http import Http

DATA = random.Random(7).randbytes(3_000_000)
SHA = digest.of_bytes(DATA)


@pytest.fixture
def site() -> Iterator[Site]:
    with serving(Site({"/weights": DATA})) as served:
        yield served


class Pauses(list[float]):
    """The pauses that a client makes, none of which takes time."""


def client(pauses: Pauses | None = None, **options: Any) -> Http:
    return Http(sleep=(Pauses() if pauses is None else pauses).append, timeout=10, **options)


def rests(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".from")


def test_file_arrives_whole(site: Site, tmp_path: Path) -> None:
    client().download(f"{site.url}/weights", tmp_path / "w", size=len(DATA), sha256=SHA)
    assert (tmp_path / "w").read_bytes() == DATA
    assert rests(tmp_path) == ["w"]


@pytest.mark.parametrize("known", [True, False])
def test_cut_download_goes_on_where_it_was_cut(site: Site, tmp_path: Path, known: bool) -> None:
    site.faults = [("cut", 1_000_000), ("cut", 500_000), ("reset",), 503]
    promised = {"size": len(DATA), "sha256": SHA} if known else {}
    client().download(f"{site.url}/weights", tmp_path / "w", **promised)
    assert (tmp_path / "w").read_bytes() == DATA
    ranges = [None, "bytes=1000000-", "bytes=1500000-", "bytes=1500000-", "bytes=1500000-"]
    assert site.ranges_asked() == ranges


def test_another_process_goes_on_with_what_one_left(site: Site, tmp_path: Path) -> None:
    site.faults = [("cut", 1_000_000), *[500] * 3]
    with pytest.raises(MachineError, match="gave up after 3 tries"):
        client(attempts=3).download(f"{site.url}/weights", tmp_path / "w", sha256=SHA)
    assert rests(tmp_path) == [".w.part"]
    site.faults, site.asked = [], []
    client().download(f"{site.url}/weights", tmp_path / "w", sha256=SHA)
    assert site.ranges_asked() == ["bytes=1000000-"]
    assert (tmp_path / "w").read_bytes() == DATA


def test_file_that_changed_meanwhile_is_not_glued_together(site: Site, tmp_path: Path) -> None:
    site.faults = [("cut", 1_000_000), 500, 500]
    with pytest.raises(MachineError):
        client(attempts=2).download(f"{site.url}/weights", tmp_path / "w")
    site.files["/weights"] = new = DATA[::-1]
    site.faults = []
    client().download(f"{site.url}/weights", tmp_path / "w")
    assert (tmp_path / "w").read_bytes() == new


def test_what_is_left_of_an_unnamed_version_is_not_trusted(site: Site, tmp_path: Path) -> None:
    site.etags = False
    site.faults = [("cut", 1_000_000)]
    client().download(f"{site.url}/weights", tmp_path / "w")
    assert site.ranges_asked() == [None, None]
    assert (tmp_path / "w").read_bytes() == DATA


def test_server_without_ranges_sends_all_again(site: Site, tmp_path: Path) -> None:
    site.ranges = False
    site.faults = [("cut", 1_000_000)]
    client().download(f"{site.url}/weights", tmp_path / "w", size=len(DATA), sha256=SHA)
    assert (tmp_path / "w").read_bytes() == DATA


def test_unchanged_file_of_no_known_digest_is_not_sent_again(site: Site, tmp_path: Path) -> None:
    client().download(f"{site.url}/weights", tmp_path / "w")
    site.files["/other"] = b"x"
    client().download(f"{site.url}/weights", tmp_path / "w")
    assert "If-None-Match" in site.asked[-1][2]
    assert (tmp_path / "w").read_bytes() == DATA


def test_damaged_start_is_thrown_away_and_fetched_again(site: Site, tmp_path: Path) -> None:
    (tmp_path / ".w.part").write_bytes(bytes(1_000_000))
    client().download(f"{site.url}/weights", tmp_path / "w", size=len(DATA), sha256=SHA)
    assert site.ranges_asked() == ["bytes=1000000-", None]
    assert (tmp_path / "w").read_bytes() == DATA


def test_start_longer_than_the_file_is_thrown_away(site: Site, tmp_path: Path) -> None:
    (tmp_path / ".w.part").write_bytes(bytes(len(DATA) + 5))
    client().download(f"{site.url}/weights", tmp_path / "w", sha256=SHA)
    assert (tmp_path / "w").read_bytes() == DATA


def test_other_bytes_of_the_same_size_are_refused(site: Site, tmp_path: Path) -> None:
    site.faults = [("damage",), ("damage",)]
    with pytest.raises(IntegrityError, match="w is not what it should be") as caught:
        client().download(f"{site.url}/weights", tmp_path / "w", size=len(DATA), sha256=SHA)
    assert caught.value.exit_code == 4
    assert rests(tmp_path) == []


def test_other_size_is_refused_before_it_is_downloaded(site: Site, tmp_path: Path) -> None:
    site.files["/weights"] = DATA + b"more"
    with pytest.raises(IntegrityError, match="another size"):
        client().download(f"{site.url}/weights", tmp_path / "w", size=len(DATA), sha256=SHA)
    assert rests(tmp_path) == []


def test_pauses_grow_and_are_random(site: Site, tmp_path: Path) -> None:
    seen = []
    for _ in range(20):
        pauses = Pauses()
        site.faults = [503] * 6
        with pytest.raises(MachineError, match="HTTP 503"):
            client(pauses, attempts=6, base=1.0, cap=8.0).download(f"{site.url}/weights", tmp_path / "w")
        seen.append(pauses)
    limits = [1, 2, 4, 8, 8]
    assert all(len(pauses) == 5 for pauses in seen)
    assert all(0 <= pause <= limit for pauses in seen for pause, limit in zip(pauses, limits, strict=True))
    assert max(pauses[3] for pauses in seen) > 4  # of 20 draws up to 8, one is above the second limit
    assert len({pauses[0] for pauses in seen}) == 20


def test_server_that_asks_for_a_pause_gets_it(site: Site, tmp_path: Path) -> None:
    pauses = Pauses()
    site.faults, site.wait = [429, 429], "7"
    client(pauses, base=0.001).download(f"{site.url}/weights", tmp_path / "w")
    assert pauses == [7.0, 7.0]


@pytest.mark.parametrize(("status", "hint"), [(404, "check"), (403, "login"), (401, "login"), (410, "check")])
def test_what_will_not_get_better_is_not_tried_again(site: Site, tmp_path: Path, status: int, hint: str) -> None:
    site.faults = [status]
    with pytest.raises(MachineError, match=f"HTTP {status}") as caught:
        client().download(f"{site.url}/weights", tmp_path / "w")
    assert hint in (caught.value.hint or "")
    assert caught.value.exit_code == 5
    assert len(site.asked) == 1


def test_nobody_there_is_told(tmp_path: Path) -> None:
    with serving(Site()) as gone:
        url = gone.url
    with pytest.raises(MachineError, match="gave up after 3 tries"):
        client(attempts=3).download(f"{url}/weights", tmp_path / "w")


def test_redirect_is_followed_without_the_secret(site: Site, tmp_path: Path) -> None:
    with serving(Site({"/here": DATA})) as other:
        site.faults = [("redirect", f"{other.url}/here")]
        client().download(f"{site.url}/weights", tmp_path / "w", sha256=SHA, headers={"Authorization": "Basic eDp5"})
        assert "Authorization" in site.asked[0][2]
        assert "Authorization" not in other.asked[0][2]
    assert (tmp_path / "w").read_bytes() == DATA


@pytest.mark.parametrize("to", ["file:///etc/passwd", "ftp://127.0.0.1/x"])
def test_redirect_to_another_kind_of_address_is_refused(site: Site, tmp_path: Path, to: str) -> None:
    site.faults = [("redirect", to)]
    with pytest.raises(MachineError, match="HTTP 302"):
        client().download(f"{site.url}/weights", tmp_path / "w")


def test_server_that_falls_silent_is_asked_again_from_there(site: Site, tmp_path: Path) -> None:
    site.faults = [("stall", 70_000), ("stall", 0), ("stall", 1_000_000)]
    pauses = Pauses()
    client = Http(sleep=pauses.append, timeout=0.5)
    client.download(f"{site.url}/weights", tmp_path / "w", size=len(DATA), sha256=SHA)
    assert (tmp_path / "w").read_bytes() == DATA
    assert site.ranges_asked() == [None, "bytes=70000-", "bytes=70000-", "bytes=1070000-"]
    assert len(pauses) == 3


@pytest.mark.parametrize("fault", [500, 503, ("reset",), ("stall", 0), ("cut", 0)])
def test_no_more_than_five_tries_in_a_row_bring_nothing(site: Site, tmp_path: Path, fault: Any) -> None:
    site.faults = [fault] * 9
    with pytest.raises(MachineError, match="gave up after 5 tries"):
        Http(sleep=Pauses().append, timeout=0.2).download(f"{site.url}/weights", tmp_path / "w")
    assert len(site.asked) == 5


def test_hundred_random_faults_end_in_the_right_bytes(site: Site, tmp_path: Path) -> None:
    draw = random.Random(11)
    kinds = [lambda: 503, lambda: 429, lambda: ("reset",), lambda: ("cut", draw.randrange(200_000))]
    for number in range(10):
        site.faults = [draw.choice(kinds)() for _ in range(10)]
        to = tmp_path / f"w{number}"
        client(attempts=12).download(f"{site.url}/weights", to, size=len(DATA), sha256=SHA)
        assert to.read_bytes() == DATA
