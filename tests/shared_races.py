"""Pushers and a collector at one place at once, and what must be so whatever they do."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from pathlib import Path

from spritebuild import digest
from spritebuild.shared import retention, signed
from spritebuild.shared.places import Place
from spritebuild.shared.store import Shared
from spritebuild.store import Store

THINGS = [f"picture {number}".encode() * 50 for number in range(60)]


def there(shared: Shared) -> tuple[set[str], dict[str, set[str]]]:
    """The blobs at a place, as others find them there, and what each trace there speaks of."""
    traces = {*shared.loose("traces"), *shared._packed("trace-packs")}
    found = shared.traces(traces)
    blobs = {*shared._packed("packs"), *shared.loose("blobs")}
    return blobs, {key: {*trace.outputs.values()} for key, trace in found.items()}


def race(at: Callable[[], Place], folder: Path, *, pushers: int, rounds: int, seed: int = 0) -> tuple[int, int]:
    """Let them race; returns how many blobs were removed, and how often something was lost after a push had ended.

    Everything that no lease names is removed at once. A pusher gives its lease back when it has looked whether all is
    there, as one does whose lease has ended; what it pushed may go then, traces first.
    """
    ended = threading.Event()
    lost: list[str] = []
    errors: list[BaseException] = []
    removed = [0]

    def push(number: int) -> None:
        draw = random.Random(f"{seed} {number}")
        store = Store(folder / f"local-{number}")
        store.scratch.mkdir(parents=True, exist_ok=True)
        for thing in THINGS:
            store.put(thing)
        place = at()
        for _ in range(rounds):
            shared = Shared(place, "there", store, None)
            names = [digest.of_bytes(thing) for thing in draw.sample(THINGS, draw.choice((2, 5, 30)))]
            traces, outputs = {}, {}
            for name in names:
                key = digest.of_value(["key", name])
                traces[key] = signed.write(key, "paint", {"image": name}, {}, None)
                outputs[key] = {name}
            own: list[str] = []
            put = shared.put

            def noted(data: bytes, path: str, put: Callable[[bytes, str], None] = put, own: list[str] = own) -> None:
                if path.startswith("leases/"):
                    own.append(path)
                put(data, path)

            shared.put = noted  # type: ignore[method-assign]
            shared.push(names, traces, outputs)
            blobs, speaking = there(shared)
            lost.extend({*names} - blobs)
            lost.extend(traces.keys() - speaking.keys())
            for path in own:
                place.remove(path)
            time.sleep(draw.random() * 0.02)

    def sweep() -> None:
        store = Store(folder / "collector")
        store.scratch.mkdir(parents=True, exist_ok=True)
        place = at()
        last = False
        while not last:
            if last := ended.is_set():  # once more when nobody pushes any more
                time.sleep(1.1)  # some places know ages in seconds, and what is not a second old stays
            shared = Shared(place, "there", store, None)
            held = retention.collect(shared, (), (), days=0, grace=0, now=0, dry_run=False)
            removed[0] += held.removed

    def guarded(work: Callable[[], None]) -> Callable[[], None]:
        def call() -> None:
            try:
                work()
            except BaseException as error:
                errors.append(error)

        return call

    collector = threading.Thread(target=guarded(sweep))
    threads = [threading.Thread(target=guarded(lambda n=n: push(n))) for n in range(pushers)]  # type: ignore[misc]
    for thread in (collector, *threads):
        thread.start()
    for thread in threads:
        thread.join()
    ended.set()
    collector.join()
    if errors:
        raise errors[0]
    last = Shared(at(), "there", Store(folder / "last"), None)
    (folder / "last/scratch").mkdir(parents=True)
    blobs, speaking = there(last)
    for outputs in speaking.values():
        lost.extend(outputs - blobs)
    return removed[0], len(lost)
