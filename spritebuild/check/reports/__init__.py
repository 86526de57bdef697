"""What a check found, told in every form that people and build servers read; decides nothing.

`FORMS` names them. They are functions of a `Checked`, and of where pixels lie for those that show any. No form has a
clock in it, so the same check gives the same report.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from spritebuild.check.cases import Checked
from spritebuild.files import write_atomic

if TYPE_CHECKING:
    from spritebuild.check.reports.pictures import Source

FORMS = ("html", "junit", "json", "sarif", "annotations", "summary", "comment", "text")
PAGES = (".html", ".htm")
STDOUT = (Path("-"), Path("/dev/stdout"))  # opened by its path, it would be written from its start


def write(
    checked: Checked, pictures: Source, form: str, target: Path, *, pictures_folder: str | None = None
) -> list[Path]:
    """Write a report of a form, and return its files; `target` is a file, but for html a folder, too.

    html is one file where the target ends in `.html`, else a folder; the others go to stdout where the target is `-`.
    The folders above are made. `pictures_folder` is for a summary, see there. Raises ValueError for a form that is not
    in `FORMS` and for a page that would go to stdout, OSError where nothing can be written.
    """
    if form not in FORMS:
        raise ValueError(f"no form of report is called {form!r}; there are {', '.join(FORMS)}")
    if form == "html":
        from spritebuild.check.reports.html import html

        if target in STDOUT:
            raise ValueError("a page goes into a file or a folder, not to stdout")
        return html(checked, pictures, target, single=target.suffix.lower() in PAGES)
    data = text_of(checked, form, pictures_folder).encode()
    if target in STDOUT:
        import click

        click.echo(data, nl=False)
        return []
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_symlink() or (target.exists() and not target.is_file()):
        target.write_bytes(data)  # where a link leads, a pipe or a terminal
    else:
        write_atomic(target, data)
    return [target]


def text_of(checked: Checked, form: str, pictures_folder: str | None = None) -> str:
    """A report of a form other than html, as text."""
    from spritebuild.check.reports import github, junit, markdown, sarif, terminal

    if form == "summary":
        return markdown.summary(checked, pictures_folder)
    if form == "comment":
        return markdown.comment(checked)
    if form == "text":
        return terminal.terminal(checked, verbose=True)
    if form == "junit":
        return junit.junit(checked)
    if form == "annotations":
        return github.annotations(checked)
    return json.dumps(sarif.sarif(checked) if form == "sarif" else checked.as_json(), indent=1) + "\n"
