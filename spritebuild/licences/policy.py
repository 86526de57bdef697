"""The project's policy: which licences its assets may come with; names whatever is against it, and where it stands."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from spritebuild.errors import Fault, PolicyError, SpritefileError, printable
from spritebuild.graph import Graph
from spritebuild.licences.expressions import UNKNOWN, is_pattern, met
from spritebuild.licences.flow import HERE, Component, Origins, origins, place_of
from spritebuild.project import Project
from spritebuild.spritefile import Spritefile
from spritebuild.spritefile.mistakes import say

SHOWN = 20  # offences that an error shows
EXAMPLES = 3  # assets that each of them names


@dataclass(frozen=True)
class Offence:
    """A component whose own licence is against the policy, and what is made with it."""

    component: Component
    denied: bool  # by `deny`; otherwise `allow` does not name it
    made: tuple[str, ...]  # asset paths; the target where nothing is installed


def check_policy(project: Project, chosen: Collection[str] | None = None) -> None:
    """Raise PolicyError where the policy refuses what the chosen actions come from; all that install, unless chosen."""
    policy = project.spritefile.policy
    if policy.allow is None and not policy.deny:
        return
    found = offences(
        project.spritefile, project.graph, origins(project.spritefile, project.graph, project.pins), chosen
    )
    if found:
        raise refusal(project.spritefile, found)


def offences(
    spritefile: Spritefile, graph: Graph, flow: Origins, chosen: Collection[str] | None = None
) -> list[Offence]:
    """What is against the policy. Raises SpritefileError where an entry of it names no licence."""
    policy = spritefile.policy
    faults = list(_slips(spritefile))
    if faults:
        raise SpritefileError(faults)
    against = {
        name: component
        for name, component in flow.components.items()
        if component.licence and not met(component.licence, policy.allow, policy.deny)
    }
    if not against:
        return []
    made: dict[str, dict[str, None]] = {name: {} for name in against}
    wanted = frozenset(graph.finals if chosen is None else chosen)
    guilty: dict[frozenset[str], frozenset[str]] = {}  # of what things are made that are made of the same
    for action in (action for id, action in graph.actions.items() if id in wanted):
        names = flow.actions[action.id]
        if names not in guilty:
            guilty[names] = flow.behind(names) & against.keys()
        for name in guilty[names]:
            made[name] |= dict.fromkeys([path for _, path in action.installs] or [action.target])
    return [
        Offence(component, not met(component.licence, None, policy.deny), tuple(made[name]))
        for name, component in against.items()
        if made[name]
    ]


def refusal(spritefile: Spritefile, found: Collection[Offence]) -> PolicyError:
    """All offences as one error, each at its place in the spritefile."""
    faults = [str(_fault(spritefile, offence)) for offence in itertools.islice(found, SHOWN)]
    count = f"{len(found)} licence{'s are' if len(found) > 1 else ' is'} against the policy"
    return PolicyError("\n".join([*faults, count]))


def remedy(component: Component) -> str:
    """What helps where a licence is unknown."""
    return f'find out what it is under, and say so: licence = "..." in [{component.name}]'


def _fault(spritefile: Spritefile, offence: Offence) -> Fault:
    component = offence.component
    where = place_of(spritefile, component.name)
    if component.licence == UNKNOWN:
        message = f"the licence of {component.name} is unknown, and `policy.allow` is not met"
        hint = remedy(component)
    else:
        rule = "which `policy.deny` names" if offence.denied else "which `policy.allow` does not name"
        message = f"{component.name} is under {printable(component.licence)}, {rule}"
        other = "other data" if component.kind == "datasets" else f"another {component.kind.removesuffix('s')}"
        hint = f"{f'use {other}' if component.source != HERE else 'say another licence'}, or change the policy"
    shown = ", ".join(map(printable, offence.made[:EXAMPLES]))
    more = f" and {len(offence.made) - EXAMPLES} more" if len(offence.made) > EXAMPLES else ""
    return spritefile.fault(where, f"{message}; {shown}{more} would come from it", hint, key=len(where) == 2)


def _slips(spritefile: Spritefile) -> Iterator[Fault]:
    """Entries of the policy that name no licence: in `deny`, one would let pass what it was to refuse."""
    policy = spritefile.policy
    for key, entries in (("allow", policy.allow or ()), ("deny", policy.deny)):
        for number, entry in enumerate(entries):
            if not is_pattern(entry):
                hint = (
                    'an SPDX identifier, a glob such as "CC-BY-*", or a LicenseRef- as `spritebuild licenses` shows it'
                )
                yield spritefile.fault(("policy", key, number), f"{say(entry)} is no licence", hint, key=False)
