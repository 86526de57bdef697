"""`spritebuild verify`: whether what was built comes out again as it was."""

from __future__ import annotations

import json
import os
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from spritebuild.check.values import shown
from spritebuild.cli.options import find, json_option, spritefile_option
from spritebuild.errors import IntegrityError, MachineError, RegressionError, SpritebuildError, StageError, UsageError

if TYPE_CHECKING:
    from spritebuild.verification.verify import Report, Verdict

ELSEWHERE = "with none of what was varied: its code changed without its version, or the shell that built it was another"
MOST = 20  # stages whose faults are listed
NAMED = 3  # further actions of a stage that are named
OUTCOMES = {
    "same": "as before",
    "alike": "alike",
    "different": "not as before",
    "failed": "failed",
    "damaged": "with damaged blobs",
    "unknown": "not verified",
}
PROMISES = {"bytes": "byte for byte", "looks": "same looks", "": "-"}
REMEDIES = {
    "nothing": "the clock, noise without a seed, or a race: draw everything from the seed among its params",
    "hash seed": "sort sets, and whatever else goes by hashes, before their order matters",
    "time zone": "leave times out, or write them in UTC",
    "locale": "name encodings and formats; set no locale",
    "home": "what is read from the home or temporary folder must be an input",
    "umask": "the modes of files must not get into outputs",
    "environment": "what an environment variable says must be a param",
    "places": "leave absolute paths out",
    "threads": "say `threads` in the stage's platform(), or let their number not matter",
    "order": "an item must not see its neighbors in a batch, nor what the stage kept of an earlier one",
}


class SampleType(click.ParamType[Any]):
    """`5%` as 0.05, `20` as 20, `100%` as None: all."""

    name = "SHARE|COUNT"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float | None:
        if matched := re.fullmatch(r"(\d{1,3}(?:\.\d+)?)%", value):
            share = float(matched[1]) / 100
            if 0 < share <= 1:
                return share if share < 1 else None
        if re.fullmatch(r"[1-9]\d{0,8}", value):
            return float(value)
        return self.fail("a share such as 5%, above 0% and up to 100%, or a number of assets such as 20", param, ctx)


@click.command()
@click.argument("targets", nargs=-1)
@spritefile_option
@click.option("--sample", type=SampleType(), help="Verify so many of the assets; 5% unless TARGETS are named.")
@click.option("--all", "everything", is_flag=True, help="Verify everything, trainings too.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="Which ones are drawn.")
@click.option("-j", "--jobs", type=click.IntRange(1), default=os.cpu_count() or 1, help="Actions run side by side.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but the result.")
@json_option
@click.pass_context
def verify(
    ctx: click.Context,
    targets: tuple[str, ...],
    file: Path | None,
    sample: float | None,
    everything: bool,
    seed: int,
    jobs: int,
    quiet: bool,
    as_json: bool,
) -> None:
    """Run actions again, where all is different that must not matter, and compare with what is known.

    Without TARGETS a sample of the assets is verified, with what they need. Nothing of the project is changed. Exit
    code 1 if a stage is not reproducible.
    """
    from spritebuild.cli import report as print_error
    from spritebuild.cli.progress import say, status_for
    from spritebuild.verification.verify import Request
    from spritebuild.verification.verify import verify as run_verify

    told = ctx.get_parameter_source("sample") is click.core.ParameterSource.COMMANDLINE
    if told and everything:
        raise UsageError("--all and --sample exclude each other")
    size = sample if told or targets or everything else 0.05
    threads = int(os.environ.get("SPRITEBUILD_THREADS", "1"))
    with status_for(quiet=quiet or as_json, as_json=False) as status:
        report = run_verify(find(file), Request(targets, size, everything, seed, jobs, threads), status)
    if as_json:
        click.echo(json.dumps(document(report), indent=1, ensure_ascii=False))
    else:
        click.echo("\n".join(table(report)))
        if not quiet:
            for line in talk(report):
                say(line)
    error = fault(report)
    if error is not None and as_json:  # stdout has its one document
        sys.exit(print_error(error))
    if error is not None:
        raise error


# What is said


def table(report: Report) -> Iterator[str]:
    """A row for every stage and promise."""
    rows: dict[tuple[str, str, str], Counter[str]] = {}
    for verdict in report.verdicts:
        where = _where(verdict)
        rows.setdefault((verdict.stage, PROMISES[verdict.promise], where), Counter())[verdict.outcome] += 1
    cells = [("stage", "actions", "promise tested", "result")]
    for (stage, promise, where), counts in sorted(rows.items()):
        result = ", ".join(f"{counts[name]} {words}" for name, words in OUTCOMES.items() if counts[name])
        cells.append((stage, str(counts.total()), f"{promise}{where}", result))
    widths = [max(len(row[column]) for row in cells) for column in range(3)]
    for row in cells:
        yield "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3]])


def _where(verdict: Verdict) -> str:
    if verdict.promise == "bytes":
        return f" on {_words(verdict.here)}" if verdict.here else " on any machine"
    return f": {_changes(verdict.made_on, verdict.here)}" if verdict.promise else ""


def _words(platform: Mapping[str, str]) -> str:
    """A class of machine in a few words."""
    main = next((platform[name] for name in ("gpu", "cpu") if platform.get(name)), "")
    names = ("torch", "onnxruntime", "threads", "batch") if main else platform
    said = [main, *(f"{name} {platform[name]}" for name in names if platform.get(name))]
    return ", ".join(shown(text) for text in said if text)


def _changes(old: Mapping[str, str], new: Mapping[str, str]) -> str:
    """What of a class of machine is another one now."""
    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    return ", ".join(shown(f"{name} {old.get(name, '(none)')} -> {new.get(name, '(none)')}") for name in names)


def talk(report: Report) -> Iterator[str]:
    """What was varied, what could not be verified, and the sum of it."""
    if report.varied:
        yield "varied: " + "; ".join(f"{name}: {words}" for name, words in report.varied.items())
    for why, count in _reasons(report):
        yield f"{count} action{'s' * (count > 1)} could not be verified: {why}"
    if report.trainings:
        yield f"{report.trainings} training{'s' * (report.trainings > 1)} left out: name them, or use --all"
    yield summary(report)


def _reasons(report: Report) -> list[tuple[str, int]]:
    return Counter(verdict.why for verdict in report.of("unknown")).most_common()


def summary(report: Report) -> str:
    """`verified 24 actions again, all byte for byte (cpu: 20; generate on AMD EPYC: 4)`."""
    done = report.of("same", "alike", "different")
    if not done:
        return "verified nothing"
    counts = Counter[str](verdict.outcome for verdict in done)
    named = Counter("cpu" if not verdict.here else f"{verdict.stage} on {_words(verdict.here)}" for verdict in done)
    ways = "; ".join(f"{name}: {count}" for name, count in named.items())
    parts = {"same": "byte for byte", "alike": "alike in looks", "different": "not as before"}
    said = ", ".join(f"{counts[name]} {words}" for name, words in parts.items() if counts[name])
    said = f", all {said.partition(' ')[2]}" if len(counts) == 1 else f": {said}"
    return f"verified {len(done)} action{'s' * (len(done) > 1)} again{said} ({ways}) in {report.seconds:.1f} s"


def document(report: Report) -> dict[str, Any]:
    """The report for programs: counts of outcomes, and every action with its own."""
    rows = [{name: value for name, value in asdict(verdict).items() if value} for verdict in report.verdicts]
    counts = Counter[str](verdict.outcome for verdict in report.verdicts)
    return {
        "outcomes": {name: counts[name] for name in OUTCOMES},
        "not_reproducible": sorted({verdict.stage for verdict in report.of("different")}),
        "trainings_left_out": report.trainings,
        "varied": dict(report.varied),
        "seconds": report.seconds,
        "actions": rows,
    }


# What is wrong


def fault(report: Report) -> SpritebuildError | None:
    """The error that the report amounts to: all that is wrong at once; None if all is well."""
    from spritebuild.verification.again import WITHOUT_INPUTS

    wrong: dict[tuple[str, str], list[Verdict]] = {}
    for verdict in report.of("different", "failed", "damaged"):
        wrong.setdefault((verdict.stage, verdict.outcome), []).append(verdict)
    facts = [fact for verdicts in list(wrong.values())[:MOST] for fact in _facts(verdicts)]
    if len(wrong) > MOST:
        facts.append(("", f"and {len(wrong) - MOST} stages more"))
    if different := report.of("different"):
        stages = sorted({verdict.stage for verdict in different})
        plural = len(stages) > 1
        words = f"{len(stages)} stages are" if plural else "1 stage is"
        return RegressionError(f"{words} not reproducible: {', '.join(stages)}", facts=facts, hint=_hint(different))
    if damaged := report.of("damaged"):
        words = f"{len(damaged)} action{'s' * (len(damaged) > 1)} could not be verified: blobs are damaged"
        return IntegrityError(words, facts=facts, hint="spritebuild build makes them again")
    if failed := report.of("failed"):
        words = f"{len(failed)} action{'s' * (len(failed) > 1)} failed that once had worked"
        hint = "what was varied may be what it needs: it must then be a param or an input"
        return StageError(words, facts=facts, hint=hint)
    if not report.of("same", "alike"):
        reasons = _reasons(report)
        rebuild = any(why == WITHOUT_INPUTS for why, _ in reasons)
        hint = "spritebuild build --rebuild makes all of it here" if rebuild else "build first: spritebuild build"
        return MachineError("nothing could be verified", facts=[(str(n), why) for why, n in reasons], hint=hint)
    return None


def _facts(verdicts: Sequence[Verdict]) -> Iterator[tuple[str, str]]:
    """The first fault of a stage, and the names of the others."""
    verdict, *others = verdicts
    file = verdict.file.rstrip("/")
    said = [*verdict.difference.split("\n"), *([verdict.why] if verdict.why != verdict.difference else [])]
    place = f"{verdict.action}, {file}" if file else verdict.action
    first, *rest = [line for line in said if line]
    yield verdict.stage, f"{place}: {first}"
    for line in rest:
        yield "", line
    if verdict.promise == "looks":
        yield "", f"another class of machine: {_changes(verdict.made_on, verdict.here)}"
    for name, (old, new) in verdict.versions.items():
        yield "", f"{name} is {new}, was {old} when it was made"
    for aspect in verdict.depends_on or ():
        yield "", f"differs {'every time' if aspect == 'nothing' else f'with the {aspect}'}: {REMEDIES[aspect]}"
    if verdict.depends_on == () and not verdict.versions:
        yield "", ELSEWHERE
    if others:
        more = f" and {len(others) - NAMED} more" if len(others) > NAMED else ""
        yield "", f"so do{'es' * (len(others) == 1)} {', '.join(each.action for each in others[:NAMED])}{more}"


def _hint(different: Sequence[Verdict]) -> str:
    if all(verdict.promise == "looks" for verdict in different):
        return "compare this machine with lockfiles/toolchain.lock"
    if all(verdict.versions or verdict.depends_on is None for verdict in different):
        return "pin the library, or say its version in the stage's platform(), or bump the stage's version"
    return "a stage's bytes must follow from its params and inputs alone; mend it, and bump its version"
