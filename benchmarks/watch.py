"""One changed prompt under `spritebuild watch` beside one under `spritebuild build`: `python benchmarks/watch.py`.

Both draw it with the built-in model on the CPU. The time of the watch is from the save until its page is told of the
new picture; that of the build, of a new process each time, from its start until its end. Processor seconds are those of
all processes of either. Then the same of a stage that costs nothing, which leaves what the watch itself takes.
"""

from __future__ import annotations

import http.client
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from projects import ISLAND, Project

PROMPTS = ("blue potion", "green potion", "golden potion", "white potion", "purple potion")
MODEL = {
    "project": {"name": "island"},
    "models": {"mini": {"builtin": "sprite-mini", "batch": 1}},
    "styles": {"base": {"model": "mini", "steps": 12, "finish": [{"op": "alpha"}]}},
    "sprites": {"potion": {"style": "base", "prompt": "red potion"}, "sword": {"style": "base", "prompt": "sword"}},
}

CASES = (("built-in model, 12 steps", MODEL), ("a stage that costs nothing", ISLAND))


def events(address: str) -> Iterator[dict[str, Any]]:
    """What the page at an address is told."""
    host, _, query = address.removeprefix("http://").partition("/")
    connection = http.client.HTTPConnection(host)
    connection.request("GET", f"/{query}")
    answer = connection.getresponse()
    cookie = str(answer.headers["Set-Cookie"]).partition(";")[0]
    answer.read()
    stream = http.client.HTTPConnection(host)
    stream.request("GET", "/api/events", headers={"Cookie": cookie})
    for line in stream.getresponse():
        if line.startswith(b"data: {") and len(line) > 10:
            yield json.loads(line[6:])


def spent(pid: int) -> float:
    """The processor seconds of a process and its children."""
    ticks = os.sysconf("SC_CLK_TCK")
    found = 0.0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(") ")[2].split()
        except OSError:
            continue
        if stat.parent.name == str(pid) or fields[1] == str(pid):
            found += (int(fields[11]) + int(fields[12])) / ticks
    return found


def pictures(said: dict[str, Any]) -> dict[str, str]:
    return {card["name"]: card.get("picture", "") for card in said.get("cards", []) if card["state"] == "final"}


def measured(declared: dict[str, Any], folder: Path) -> dict[str, list[tuple[float, float]]]:
    """Wall and processor seconds of each round, of both."""
    watched = Project(folder / "watched").write(declared)
    built = Project(folder / "built").write(declared)
    command = [sys.executable, "-m", "spritebuild"]
    subprocess.run([*command, "build", "-q"], cwd=built.root, check=True)
    watch = subprocess.Popen(
        [*command, "watch", "--json", "--no-browser"], cwd=watched.root, stdout=subprocess.PIPE, text=True
    )
    assert watch.stdout is not None
    address = json.loads(watch.stdout.readline())["address"]
    while json.loads(watch.stdout.readline())["event"] != "waiting":
        pass
    told = events(address)
    shown = pictures(next(told))["sprites.potion"]
    found: dict[str, list[tuple[float, float]]] = {"watch": [], "build": []}
    for prompt in PROMPTS:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        started = time.perf_counter()
        built.edit("sprites.potion.prompt", prompt)
        subprocess.run([*command, "build", "-q"], cwd=built.root, check=True)
        wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
        found["build"].append((wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime))

        cpu, started = spent(watch.pid), time.perf_counter()
        watched.edit("sprites.potion.prompt", prompt)
        while (now := pictures(next(told)).get("sprites.potion", shown)) == shown:
            pass
        wall, shown = time.perf_counter() - started, now
        while json.loads(watch.stdout.readline())["event"] != "waiting":
            pass
        found["watch"].append((wall, spent(watch.pid) - cpu))
        assert watched.assets()["assets/potion.png"] == built.assets()["assets/potion.png"]
    watch.terminate()
    watch.wait()
    return found


def main() -> None:
    print("| one changed prompt | until its picture | cpu | ratio |\n|---|---|---|---|")
    for name, declared in CASES:
        with tempfile.TemporaryDirectory() as folder:
            found = measured(declared, Path(folder))
        middle = {who: [statistics.median(column) for column in zip(*rows, strict=True)] for who, rows in found.items()}
        for who, (wall, cpu) in middle.items():
            ratio = f"{cpu / middle['build'][1]:.2f}"
            print(f"| {name}: {who} | {wall * 1000:.0f} ms | {cpu * 1000:.0f} ms | {ratio} |")


if __name__ == "__main__":
    main()
