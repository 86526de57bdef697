"""How soon the review page shows a picture, in headless Chromium: `python benchmarks/review.py 1000 10000`."""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "tests"))
sys.path.append(str(Path(__file__).parents[1] / "tests/review"))

from browser import WALK, chromium, serving, visit
from gallery import gallery

STEPS = 200


def measure(root: Path, count: int) -> str:
    """A line of the table: sprites, first picture, next asset by key (median, 95th percentile), decision and next."""
    made = gallery(root, count)
    with chromium() as browser, serving(made.project.path) as server:
        first = []
        for _ in range(5):
            review = visit(browser, server)
            first.append(review.page.evaluate("window.seen[0].time"))
            if len(first) < 5:
                review.page.context.close()
        review.page.get_by_role("button", name="Group", exact=True).click()
        review.press("1", "Home")
        review.page.wait_for_timeout(500)
        told = []
        for key in ("ArrowDown", "y"):
            took = sorted(review.page.evaluate(WALK, [key, STEPS, True]))
            told += [f"{statistics.median(took):.0f}", f"{took[int(len(took) * 0.95)]:.0f}"]
    return f"| {count:,} | {statistics.median(first):.0f} | {' | '.join(told)} |"


def main() -> None:
    print("| sprites | first picture | next asset | 95th percentile | approved, and next | 95th percentile |")
    print("| --- | --- | --- | --- | --- | --- |")
    for count in map(int, sys.argv[1:]):
        with tempfile.TemporaryDirectory() as name:
            print(measure(Path(name) / "gallery", count), flush=True)
    print(f"\nload average {os.getloadavg()[0]:.1f}", file=sys.stderr)


if __name__ == "__main__":
    main()
