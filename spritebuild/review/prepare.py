"""What a review measures before it shows anything: limits of the art, ranks of candidates. Installs nothing."""

from __future__ import annotations

from pathlib import Path

from spritebuild import candidates
from spritebuild.build import Request, build
from spritebuild.errors import SpritebuildError
from spritebuild.limits import measuring
from spritebuild.plan import plan
from spritebuild.project import Project
from spritebuild.resolution.ranks import RANK
from spritebuild.run import Options
from spritebuild.status import Status


def measured(project: Project, spritefile: Path, options: Options, status: Status) -> tuple[bool, str]:
    """Measure and rank what is all here and was not measured yet, in a project opened with its checks.

    Says whether that was tried, after which the project has to be opened anew, and why it failed, if it did.
    """
    checks = measuring(project)
    ranks = frozenset(f"{target}:{RANK}" for target in project.graph.candidates) & project.graph.actions.keys()
    unmeasured, unranked = _to_run(project, checks), _to_run(project, ranks)
    if not (unmeasured and unmeasured <= checks) and not unranked:
        return False, ""
    try:
        if unmeasured and unmeasured <= checks:
            targets = sorted({project.graph.actions[id].target for id in checks})
            build(spritefile, Request(tuple(targets), options=options, checks=True), status)
        if unranked:
            candidates.rank(spritefile, status, options=options)
    except SpritebuildError as error:
        return True, f"not everything was measured: {error.message}"
    return True, ""


def _to_run(project: Project, ids: frozenset[str]) -> set[str]:
    return {decision.action for decision in plan(project.graph, project.known, ids).to_run()} if ids else set()
