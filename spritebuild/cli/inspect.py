"""`spritebuild plan`, `why` and `graph`: what would happen and why; they run and change nothing."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from spritebuild.cli.options import find, json_option, quality_option, spritefile_option
from spritebuild.graph import Graph, Source

if TYPE_CHECKING:
    from spritebuild.project import Project
    from spritebuild.spritefile.tiers import Quality


@click.command()
@click.argument("targets", nargs=-1)
@spritefile_option
@click.option("-v", "--verbose", is_flag=True, help="List the actions that are reused as well.")
@click.option("--rebuild", is_flag=True, help="As for `build --rebuild`.")
@quality_option
@click.option("--cost", "costs", is_flag=True, help="Estimate time, GPU-hours and prices from what was measured here.")
@json_option
def plan(
    targets: tuple[str, ...],
    file: Path | None,
    verbose: bool,
    rebuild: bool,
    quality: Quality | None,
    costs: bool,
    as_json: bool,
) -> None:
    """Say for every action whether it would run, wait or be reused, and why."""
    from spritebuild import picks
    from spritebuild import plan as planning
    from spritebuild.project import of_quality, opened
    from spritebuild.resolution import tiers

    with opened(find(file)) as project:
        if quality is not None:
            project = of_quality(project, quality)
        qualities = _qualities(project, quality)
        chosen = planning.targets(project.graph, targets)
        decided = planning.plan(project.graph, project.known, chosen, rebuild=rebuild)
        words = planning.foreseen(project.graph, project.known, decided)
        lost = planning.to_install(project.graph, decided)
        if costs:
            from spritebuild.cli.costs import data, lines
            from spritebuild.cost import estimate

            estimated = estimate(project, decided)
        asked = {project.graph.actions[id].target for id in chosen}
        undecided = [target for target in picks.undecided(project.graph, project.known.lock) if target in asked]
    decisions = decided.decisions.values()
    if as_json:
        rows = [
            {
                "action": d.action,
                "verdict": d.verdict,
                "reason": d.reason,
                "key": d.key,
                "outputs": d.outputs,
                **({"foreseen": words[d.action]} if d.action in words else {}),
            }
            for d in decisions
        ]
        click.echo(json.dumps({"actions": rows, "cost": data(estimated)} if costs else rows, indent=1))
        return
    for one in qualities:
        click.echo(tiers.words(project.spritefile.quality, one), err=True)
    shown = [d for d in decisions if verbose or d.verdict != "reuse"]
    width = min(max((len(d.action) for d in shown), default=0), 60)
    sys.stdout.writelines(
        f"{d.verdict:<5}  {d.action:<{width}}  {'; '.join(filter(None, (d.reason, words.get(d.action))))}".rstrip()
        + "\n"
        for d in shown
    )
    counts = Counter(d.verdict for d in decisions)
    said = [f"{counts[v]} {v}" for v in ("run", "wait", "reuse") if counts[v] and (shown or v != "reuse")]
    if lost:
        said.append(f"{len(lost)} to install: {', '.join(lost[:3])}{', ...' * (len(lost) > 3)}")
    click.echo(", ".join(said) if shown or lost else "nothing to do", err=True)
    if undecided:
        click.echo(picks.words(undecided), err=True)
    if costs:
        sys.stdout.writelines(f"{line}\n" for line in lines(estimated))


def _qualities(project: Project, asked: Quality | None) -> list[Quality]:
    """The qualities that are worth a word: what is asked for, or else what is declared beside `standard`."""
    from spritebuild.spritefile.tiers import QUALITIES

    if asked is not None:
        return [asked]
    looks = [*project.spritefile.styles.values(), *project.spritefile.sprites.values()]
    declared = {project.spritefile.project.quality, *(look.quality for look in looks)}
    return [one for one in QUALITIES if one in declared and one != "standard"]


@click.command()
@click.argument("target")
@spritefile_option
@quality_option
@json_option
def why(target: str, file: Path | None, quality: Quality | None, as_json: bool) -> None:
    """Say how TARGET is made: each action with its params and where they were declared, its inputs and its verdict."""
    from spritebuild import plan as planning
    from spritebuild.project import of_quality, opened

    with opened(find(file)) as project:
        if quality is not None:
            project = of_quality(project, quality)
        chosen = planning.targets(project.graph, [target])
        decided = planning.plan(project.graph, project.known, chosen)
        wanted = project.graph.upstream(chosen)
        rows = []
        for id in (id for id in project.graph.actions if id in wanted):
            action = project.graph.actions[id]
            decision = decided.decisions.get(id)
            key = decided.keys.get(id)
            trace = project.store.trace(key) if key else None
            rows.append(
                {
                    "action": id,
                    "stage": f"{action.stage} version {action.version}",
                    "verdict": decision.verdict if decision else "reuse",
                    "reason": decision.reason if decision else "",
                    "params": {name: [value, action.origins.get(name)] for name, value in action.params.items()},
                    "inputs": {
                        name: {"from": ref.name if isinstance(ref, Source) else ref.action}
                        for name, ref in action.inputs
                    },
                    "outputs": dict(decided.outputs.get(id, {})),
                    "installs": dict(action.installs),
                    "key": key,
                    "recipe": action.recipe,
                    "made": dict(trace.provenance) if trace else None,
                }
            )
    if as_json:
        click.echo(json.dumps(rows, indent=1))
        return
    for row in rows:
        _print_action(row)


def _print_action(row: dict[str, Any]) -> None:
    verdict = row["verdict"] + (f": {row['reason']}" if row["reason"] else "")
    click.echo(f"{click.style(row['action'], bold=True)}  {verdict}")
    lines: list[tuple[str, str, str]] = [("stage", row["stage"], "")]
    for name, (value, origin) in row["params"].items():
        text = json.dumps(value, ensure_ascii=False)
        lines.append((name, text if len(text) <= 100 else f"{text[:97]}...", origin or ""))
    lines += [(name, f"from {source['from']}", "") for name, source in list(row["inputs"].items())[:12]]
    lines += [(name, f"{path}  {row['outputs'].get(name, '')[:12]}", "") for name, path in row["installs"].items()]
    if row["made"]:
        made = row["made"]
        platform = made.get("platform", {})
        where = ", ".join(f"{k} {platform[k]}" for k in ("device", "cpu_capability", "torch") if platform.get(k))
        lines.append(("made", f"in {made.get('seconds', 0)} s" + (f" on {where}" if where else ""), ""))
        lines += [("warning", warning, "") for warning in made.get("warnings", ())]
    width = max(len(name) for name, _, _ in lines)
    for name, value, origin in lines:
        click.echo(f"  {name:<{width}}  {value}" + (click.style(f"  ({origin})", dim=True) if origin else ""))


@click.command()
@spritefile_option
@click.option("--format", "form", type=click.Choice(["dot", "mermaid", "json"]), default="dot", show_default=True)
def graph(file: Path | None, form: str) -> None:
    """Print the graph of actions for Graphviz, for Mermaid, or as JSON."""
    from spritebuild.project import opened

    with opened(find(file)) as project:
        text = {"dot": _dot, "mermaid": _mermaid, "json": _json}[form](project.graph)
    click.echo(text)


def _edges(graph: Graph) -> list[tuple[str, str]]:
    return [
        (ref.name if isinstance(ref, Source) else ref.action, action.id)
        for action in graph.actions.values()
        for _, ref in action.inputs
    ]


def _dot(graph: Graph) -> str:
    sources = dict.fromkeys(ref.name for action in graph.actions.values() for _, ref in action.sources())
    lines = ["digraph spritebuild {", "  rankdir=LR;", "  node [shape=box, fontname=Helvetica];"]
    lines += [f"  {json.dumps(name)} [shape=cylinder];" for name in sources]
    lines += [f"  {json.dumps(id)}{' [style=bold]' if graph.actions[id].installs else ''};" for id in graph.actions]
    lines += [f"  {json.dumps(tail)} -> {json.dumps(head)};" for tail, head in _edges(graph)]
    return "\n".join([*lines, "}"])


def _mermaid(graph: Graph) -> str:
    names: dict[str, str] = {}
    lines = ["flowchart LR"]
    for action in graph.actions.values():
        for _, source in action.sources():
            if source.name not in names:
                names[source.name] = f"n{len(names)}"
                lines.append(f'  {names[source.name]}[("{source.name}")]')
        names[action.id] = f"n{len(names)}"
        lines.append(f'  {names[action.id]}["{action.id}"]')
    return "\n".join([*lines, *(f"  {names[tail]} --> {names[head]}" for tail, head in _edges(graph))])


def _json(graph: Graph) -> str:
    rows = [
        {
            "id": action.id,
            "stage": action.stage,
            "version": action.version,
            "params": dict(action.params),
            "inputs": {
                name: {"source": ref.name, "digest": ref.digest}
                if isinstance(ref, Source)
                else {"action": ref.action, "output": ref.name}
                for name, ref in action.inputs
            },
            "installs": dict(action.installs),
            "recipe": action.recipe,
        }
        for action in graph.actions.values()
    ]
    return json.dumps(rows, indent=1)
