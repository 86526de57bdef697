"""A check as Markdown: the summary of a step and a comment on a pull request, within GitHub's limits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from spritebuild.check.cases import Case, Checked
from spritebuild.check.reports.alike import Alike, alike
from spritebuild.check.reports.text import NAME, file_name, more, plain, sentence, tally, untold

SUMMARY = (1 << 20) - 4096  # bytes; GitHub takes 1 MiB for all that a step says
COMMENT = (1 << 16) - 1024  # bytes; GitHub takes 65,536 characters
MARKER = "<!-- spritebuild check -->"  # by which a workflow finds its own comment
LEGIBLE = frozenset(" ,/()%;")  # the punctuation that means nothing anywhere in Markdown
SIGNS = {"fail": "❌ fail", "notice": "⚠️ look", "pass": "✅ pass"}


def summary(checked: Checked, pictures_folder: str | None = None) -> str:
    """For GITHUB_STEP_SUMMARY: a table, what fails first, of as many whole rows as GitHub takes.

    `pictures_folder` is the folder `pictures` of an HTML report, and the paths of those that are there are named; or
    its address on the web, from where they are shown.
    """
    return _page(checked, SUMMARY, pictures_folder)


def comment(checked: Checked) -> str:
    """The same for a pull request, less long; it begins with a mark by which it is found and replaced."""
    return f"{MARKER}\n{_page(checked, COMMENT, None)}"


def _page(checked: Checked, most: int, folder: str | None) -> str:
    failed = len(checked.failed)
    verdict = f"{failed:,} of {len(checked.cases):,} assets fail" if failed else "nothing fails"
    head = [f"## {'❌' if failed else '✅'} Sprites: {verdict}", "", f"**{_text(tally(checked))}**", ""]
    head += [f"- {_text(plain(note))}" for note in checked.notes[:20]]
    head += [_text(more(len(checked.notes) - 20, "note", "notes"))] if len(checked.notes) > 20 else []
    rows = alike(checked.cases)
    if not rows:
        return "\n".join(head) + "\n"
    pictures = folder is not None
    head += [
        *([""] if checked.notes else []),
        "| | change | asset | what differs |" + (" before | after |" if pictures else ""),
    ]
    head.append("|---|---|---|---|" + ("---|---|" if pictures else ""))
    lines = [*head]
    left = most - sum(len(line.encode()) + 1 for line in head)
    for place, row in enumerate(rows):
        line = _row(row, folder)
        left -= len(line.encode()) + 1
        if left < 0:
            lines += ["", f"{more(len(rows) - place, 'row', 'rows')}: GitHub takes no longer text; see the report."]
            break
        lines.append(line)
    return "\n".join(lines) + "\n"


def _row(row: Alike, folder: str | None) -> str:
    case = row.case
    cells = [SIGNS[case.verdict], case.kind, _code(plain(case.path, NAME)), "<br>".join(_told(row))]
    if folder is not None:
        cells += [_picture(folder, case.baseline, "before"), _picture(folder, _now(case), "after")]
    return f"| {' | '.join(cells)} |"


def _now(case: Case) -> str:
    return case.digest if case.kind not in ("deleted", "missing") else ""


def _told(row: Alike) -> Iterator[str]:
    case = row.case
    if case.kind != "same" or not case.violations:
        yield _text(sentence(case))
    for violation in case.violations:
        yield f"limit {_code(plain(violation.limit, NAME))}: {_text(plain(violation.words))}"
    changed = untold(case)
    for part in changed[:3]:
        yield f"{_code(plain(part.file, NAME))}: {part.kind}: {_text(plain(part.words))}"
    if len(changed) > 3:
        yield more(len(changed) - 3, "file", "files")
    for reason in case.why[:3]:
        yield f"because {_text(plain(reason))}"
    if row.others:
        yield more(len(row.others), "alike")


def _picture(folder: str, digest: str, side: str) -> str:
    name = file_name(digest)
    if not name:
        return ""
    path = f"{folder.rstrip('/')}/{name}"
    if "://" in folder:
        return f'<img src="{_escaped(path)}" width="64" alt="{side}">'
    return _code(plain(path, 2 * NAME)) if Path(path).is_file() else ""


def _text(text: str) -> str:
    """Text in which nothing is Markdown, HTML, a link, a mention or a reference to an issue."""
    return _code(text) if "@" in text or "#" in text else _escaped(text)


def _code(text: str) -> str:
    return f"<code>{_escaped(text)}</code>"


def _escaped(text: str) -> str:
    """ASCII punctuation as references of HTML, which are never part of Markdown's structure (CommonMark 0.31, 2.5)."""
    return "".join(each if each.isalnum() or each in LEGIBLE or each > "\x7f" else f"&#{ord(each)};" for each in text)
