"""A profile is a trace that viewers open: whole, in order, and of all that a build does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from projects import ISLAND, Project

from spritebuild.build import Request, build
from spritebuild.run import Options
from spritebuild.spans import Span, Spans, timed, trace
from spritebuild.status import Status


def built(project: Project, spans: Spans | None) -> None:
    build(project.root / "spritefile.toml", Request(options=Options(2, spans=spans)), Status())


def checked(events: list[dict[str, Any]]) -> dict[int, list[dict[str, Any]]]:
    """The complete events of every lane, once all are found to be as the format says."""
    named = {event["tid"]: event["args"]["name"] for event in events if event["ph"] == "M"}
    lanes: dict[int, list[dict[str, Any]]] = {}
    for event in events:
        assert event["ph"] in ("M", "X")
        assert isinstance(event["pid"], int)
        if event["ph"] == "X":
            assert event["ts"] >= 0
            assert event["dur"] >= 0
            assert event["name"]
            assert event["tid"] in named
            lanes.setdefault(event["tid"], []).append(event)
    return lanes


def test_a_build_tells_of_everything_that_it_does(island: Project, tmp_path: Path) -> None:
    spans = Spans()
    built(island, spans)
    spans.write(tmp_path / "trace.json")
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    lanes = checked(events)
    names = {event["name"] for lane in lanes.values() for event in lane}
    assert {"resolve", "plan", "fetch", "store", "install", "paint", "sheet"} <= names
    actions = {event["args"].get("action") for lane in lanes.values() for event in lane if event["name"] == "paint"}
    assert actions == {id for id in island.graph().actions if id.endswith(":paint")}


def test_spans_of_one_lane_follow_or_hold_each_other(island: Project) -> None:
    spans = Spans()
    built(island, spans)
    for lane in checked(trace(spans.found)["traceEvents"]).values():
        open_until: list[float] = []
        for event in sorted(lane, key=lambda event: (event["ts"], -event["dur"])):
            while open_until and open_until[-1] <= event["ts"] + 0.2:  # microseconds are rounded to tenths
                open_until.pop()
            if open_until:
                assert event["ts"] + event["dur"] <= open_until[-1] + 0.2
            open_until.append(event["ts"] + event["dur"])


def test_what_a_worker_spends_is_told_in_a_lane_of_its_own(project: Project) -> None:
    project.write({**ISLAND, "styles": {"base": {"stage": "slow"}}, "sheets": {}})
    project.file("stages/slow.py", SLOW)
    spans = Spans()
    built(project, spans)
    mine = [span for span in spans.found if span.what == "think"]
    assert {span.who for span in mine} == {"worker-0"}
    assert all(span.started < span.ended for span in mine)
    assert min(span.started for span in mine) > min(span.started for span in spans.found)


def test_nobody_is_told_anything_unless_asked(project: Project) -> None:
    project.write({**ISLAND, "styles": {"base": {"stage": "slow"}}, "sheets": {}})
    project.file("stages/slow.py", SLOW)
    built(project, None)  # the stage would fail if nobody listened and it spoke all the same


SLOW = '''
"""A dot, thought about for a while."""

import time
from pathlib import Path

from spritebuild.stage import Outputs, Params, Stage


class SlowParams(Params):
    prompt: str = ""
    seed: int = 0


class SlowOutputs(Outputs):
    image: Path = Path("image.png")


class Slow(Stage):
    version = 1
    device = "accelerator"
    Params = SlowParams
    Outputs = SlowOutputs

    def run(self, action, context):
        import numpy as np

        from spritebuild_stages.images import png

        started = time.monotonic()
        color = (action.params.seed % 200, len(action.params.prompt), 7, 255)
        png.write(action.outputs.image, np.full((2, 2, 4), color, np.uint8))
        if context.spent is not None:
            context.spent("think", started, time.monotonic())
'''


def test_what_fails_is_told_too() -> None:
    spans = Spans()
    try:
        with timed(spans, "plan", "all"):
            raise ValueError
    except ValueError:
        pass
    assert [(span.what, span.about) for span in spans.found] == [("plan", "all")]
    with timed(None, "plan"):
        pass


@given(
    st.lists(
        st.builds(
            lambda what, who, started, seconds: Span(what, who, started, started + seconds),
            st.text(min_size=1),
            st.text(),
            st.floats(0, 1e6),
            st.floats(0, 1e4),
        )
    )
)
def test_any_spans_are_a_trace(spans: list[Span]) -> None:
    events = json.loads(json.dumps(trace(spans)))["traceEvents"]
    lanes = checked(events)
    assert sum(map(len, lanes.values())) == len(spans)
    assert len(lanes) == len({span.who for span in spans})
