"""A check as workflow commands, which GitHub shows beside the declarations in a pull request."""

from spritebuild.check.cases import Case, Checked
from spritebuild.check.reports.alike import Alike, alike
from spritebuild.check.reports.text import NAME, broken, headline, more, plain, tally

MOST = 10  # that GitHub shows of a step
LEVELS = {"fail": "error", "notice": "warning"}


def annotations(checked: Checked) -> str:
    """At most ten lines such as `::error file=spritefile.toml,line=3,title=...::...`, what fails first.

    The last of them says how many more there are.
    """
    rows = [row for row in alike(checked.cases) if row.case.verdict in LEVELS]
    shown = rows if len(rows) <= MOST else rows[: MOST - 1]
    lines = [_annotation(row) for row in shown]
    if left := rows[len(shown) :]:
        count = sum(1 + len(row.others) for row in left)
        title = more(count, "asset", "assets")
        level = LEVELS[left[0].case.verdict]
        lines.append(f"::{level} title={_property(title)}::{_data(f'in all: {tally(checked)}')}")
    return "".join(f"{line}\n" for line in lines)


def _annotation(row: Alike) -> str:
    case = row.case
    told = [headline(case), *(each for each in broken(case) if each != headline(case))]
    told += [f"because {plain(reason)}" for reason in case.why]
    if row.others:
        told.append(more(len(row.others), "alike"))
    place = {"title": plain(case.path, NAME), **_place(case)}
    facts = ",".join(f"{name}={_property(value)}" for name, value in sorted(place.items()))
    return f"::{LEVELS[case.verdict]} {facts}::{_data(chr(10).join(told))}"


def _place(case: Case) -> dict[str, str]:
    if not case.file:
        return {}
    return {"file": plain(case.file, NAME), **({"line": str(case.line)} if case.line > 0 else {})}


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
