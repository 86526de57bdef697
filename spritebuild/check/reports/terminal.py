"""A check's table for a terminal, which reads as well without color; prints nothing."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from spritebuild.check.cases import Case, Checked
from spritebuild.check.reports.alike import Alike, alike, worth_telling
from spritebuild.check.reports.text import NAME, VERDICTS, broken, measured, more, plain, sentence, tally, untold

MOST = 200  # rows, unless everything is asked for
BRIEF = 3  # files, and reasons, of an asset, likewise
HEADINGS = {"fail": ("FAIL", "red"), "notice": ("NOTICE", "yellow"), "pass": ("PASS", "green")}
LEAST = 40  # columns


def terminal(checked: Checked, *, verbose: bool = False, color: bool = False, width: int = 80) -> str:
    """What differs, row by row, what fails first; the last line counts. With `verbose` everything that is known."""
    page = _Page(max(width, LEAST), color, verbose)
    rows = alike(checked.cases)
    shown = rows if verbose else rows[:MOST]
    lines: list[str] = []
    for verdict in VERDICTS:
        if part := [row for row in shown if row.case.verdict == verdict]:
            heading, tone = HEADINGS[verdict]
            lines += [page.style(heading, tone), *page.table(part), ""]
    if len(rows) > len(shown):
        lines += [f"{more(len(rows) - len(shown), 'row', 'rows')}, which --verbose shows", ""]
    if verbose and (quiet := [case for case in checked.cases if not worth_telling(case)]):
        lines += ["UNCHANGED", *(f"  {case.kind}  {plain(case.path, NAME)}" for case in quiet), ""]
    for note in checked.notes:
        lines += page.wrapped("note: ", plain(note))
    lines.append(page.style(tally(checked), "red" if checked.failed else "green"))
    return "\n".join(lines) + "\n"


class _Page:
    def __init__(self, width: int, color: bool, verbose: bool) -> None:
        self.width, self.color, self.verbose = width, color, verbose

    def style(self, text: str, tone: str, *, bold: bool = True) -> str:
        import click

        return click.style(text, fg=tone, bold=bold) if self.color else text

    def table(self, rows: list[Alike]) -> Iterator[str]:
        """Kind, asset and words; an asset that is too long for its column has its words beneath."""
        from rich.cells import cell_len

        kinds = max(len(row.case.kind) for row in rows)
        room = NAME if self.verbose else self.width - 2 - kinds - 2
        names = [plain(row.case.path, room) for row in rows]
        column = 2 * self.width // 5
        fitting = [cell_len(name) for name in names if cell_len(name) <= column]
        start = 2 + kinds + 2 + max(fitting, default=0) + 2
        for row, name in zip(rows, names, strict=True):
            kind = self.style(f"{row.case.kind:<{kinds}}", HEADINGS[row.case.verdict][1], bold=False)
            head = f"  {kind}  {name}"
            under = " " * start
            lines = [line for text in self.said(row) for line in self.wrapped(under, text)]
            space = start - (2 + kinds + 2 + cell_len(name))
            if space >= 2 and lines:
                yield head + " " * space + lines.pop(0)[start:]
            else:
                yield head
            yield from lines

    def said(self, row: Alike) -> Iterator[str]:
        """The sentence, then what stands beneath an asset."""
        case, most = row.case, None if self.verbose else BRIEF
        if case.kind != "same" or not case.violations:
            yield sentence(case)
        yield from broken(case)
        changed = untold(case)
        for part in changed[:most]:
            yield f"{plain(part.file, NAME)}: {part.kind}: {plain(part.words)}"
        if most is not None and len(changed) > most:
            yield more(len(changed) - most, "file", "files")
        for reason in case.why[:most]:
            yield f"because {plain(reason)}"
        if self.verbose:
            yield from self.details(case)
            yield from (f"alike: {plain(other.path, NAME)}" for other in row.others)
        elif row.others:
            yield more(len(row.others), "alike")

    def details(self, case: Case) -> Iterator[str]:
        """What only those want to know who ask for everything."""
        yield from (f"{name}: {value}" for name, value in measured(case.measures))
        for name, value in (("approved", case.baseline), ("now", case.digest), ("platform", case.platform)):
            if value:
                yield f"{name}: {plain(value, NAME)}"
        if case.declared:
            place = f"{plain(case.file, NAME)}:{case.line}: " if case.file and case.line else ""
            yield f"declared: {place}{plain(case.declared, NAME)}"

    def wrapped(self, under: str, text: str) -> list[str]:
        """Lines that begin with `under`, or as many blanks."""
        from rich.cells import cell_len

        room = max(self.width - len(under), 20)
        if cell_len(text) > len(text):
            room //= 2  # characters of two columns
        lines = textwrap.wrap(text, room, break_on_hyphens=False) or [""]
        return [(under if not place else " " * len(under)) + line for place, line in enumerate(lines)]
