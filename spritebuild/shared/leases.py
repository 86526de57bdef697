"""Who relies on what a shared store has, and who removes something there now; knows no blob.

    leases/ID       the names of blobs and traces that a push relies on, and for how many days
    sweeping/ID     a collector removes something at this moment

Whoever pushes puts a lease first, then waits until nobody sweeps, then looks what is there. Whoever sweeps says so
first, then reads the leases, then removes what none of them names. So if the sweeper did not see a lease, its owner
sees that somebody sweeps, and looks afterwards: one of the two always gives way. No clock of this machine decides.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Collection

from spritebuild.digest import canonical
from spritebuild.errors import MachineError
from spritebuild.shared.places import Place

LEASE = 14  # days for which a lease stands: until then what was pushed must be in a lock that somebody committed
SWEEP = 120.0  # seconds for which somebody who sweeps is believed to; the sweeper itself stops after half of them
EVERY = 0.5  # seconds between two looks
DAY = 86400.0
Put = Callable[[bytes, str], None]


def take(place: Place, names: Collection[str], put: Put) -> None:
    """Put a lease there, and wait until nobody sweeps who may not have seen it."""
    mine = secrets.token_hex(16)
    put(canonical({"names": sorted(names), "days": LEASE}), f"leases/{mine}")
    started = time.monotonic()
    while others := place.files("sweeping"):
        leases = place.files("leases")
        if mine not in leases:
            raise MachineError("a lease vanished from the shared store", where=f"leases/{mine}", hint="push again")
        now = leases[mine].since + time.monotonic() - started
        if all(now - other.since > SWEEP for other in others.values()):
            return  # whoever it was has died
        time.sleep(EVERY)


def read(place: Place, now: float) -> tuple[set[str], list[str]]:
    """The names that must stay at a time of the place's clock, and the leases that have ended."""
    names: set[str] = set()
    ended: list[str] = []
    for name, file in place.files("leases").items():
        try:
            said = json.loads(place.read(f"leases/{name}"))
            if now - file.since > float(said["days"]) * DAY:
                ended.append(name)
            else:
                names |= {str(each) for each in said["names"]}
        except FileNotFoundError:
            continue
        except (ValueError, KeyError, TypeError, RecursionError):
            if now - file.since > LEASE * DAY:
                ended.append(name)
            else:
                raise MachineError(
                    "is no lease, so nobody knows what it is for",
                    where=f"leases/{name}",
                    hint=f"nothing was removed; delete it there, or wait {LEASE} days",
                ) from None
    return names, ended


class Sweep:
    """The time in which something may be removed: from when it was announced until half of SWEEP has gone."""

    def __init__(self, place: Place, put: Put) -> None:
        self.place = place
        self.id = secrets.token_hex(16)
        self.began = time.monotonic()
        put(b"{}", f"sweeping/{self.id}")
        mine = place.files("sweeping").get(self.id)
        if mine is None:
            raise MachineError("what was put into the shared store is not there at once", hint="nothing was removed")
        self.now = mine.since

    def lasts(self) -> bool:
        """Whether something may still be removed."""
        return time.monotonic() - self.began < SWEEP / 2

    def end(self) -> None:
        """Tell that nothing is removed any more."""
        self.place.remove(f"sweeping/{self.id}")
