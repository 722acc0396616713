"""Whether another transaction can have written spans of the same calls while a batch was being written.

PostgreSQL numbers the transactions that write. Two snapshots, one before a batch looks at what is stored and one after
its COMMIT, say which transactions committed in between. When all of them are this process's own and wrote nothing of
the same calls, looking again can find nothing. ADR 0095.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

MOST_TRANSACTIONS: Final = 64
"""When more committed meanwhile, most are not ours."""

Numbers = tuple[int, int]
"""Input and output tokens of a call."""


class Snapshot(NamedTuple):
    """Hold which transactions are committed: those before ``next_xid`` that are not ``running``."""

    next_xid: int
    running: frozenset[int]

    @classmethod
    def parse(cls, text: str) -> Snapshot:
        """Read ``pg_current_snapshot()``: ``xmin:xmax:xip,xip,…``."""
        _, next_xid, running = text.split(":")
        return cls(int(next_xid), frozenset(map(int, running.split(","))) if running else frozenset())


class Footprint(NamedTuple):
    """Hold what ties the calls of a batch to others that speak of the same ones."""

    traces: AbstractSet[bytes]
    response_ids: AbstractSet[str]
    parentless: AbstractSet[Numbers]
    """Tokens of spans without a parent."""
    framework: AbstractSet[Numbers]
    """Tokens of spans of libraries that call a provider's SDK."""

    def touches(self, other: Footprint) -> bool:
        """Tell whether a call of one may be a call of the other."""
        return not (
            self.traces.isdisjoint(other.traces)
            and self.response_ids.isdisjoint(other.response_ids)
            and self.parentless.isdisjoint(other.framework)
            and self.framework.isdisjoint(other.parentless)
        )


@dataclass(slots=True, eq=False)
class Visit:
    """Stand for one transaction from before its first look at what is stored until after its last."""

    xid: int
    before: Snapshot
    footprint: Footprint | None = None
    """What it writes; ``None`` as long as that is not known."""
    watchers: set[Visit] = field(default_factory=set)
    """Those under way at the same time that have not looked for the last time."""


class Overlaps:
    """Know what the transactions of this process write, for as long as another one may have missed it."""

    def __init__(self) -> None:
        self._under_way: set[Visit] = set()
        self._known: dict[int, Visit] = {}

    def enter(self, xid: int, before: Snapshot) -> Visit:
        """Begin; ``xid`` is the transaction's number, ``before`` was taken before it looked at anything."""
        visit = Visit(xid, before, watchers=set(self._under_way))
        for other in self._under_way:
            other.watchers.add(visit)
        self._under_way.add(visit)
        self._known[xid] = visit
        return visit

    def is_alone(self, visit: Visit, after: Snapshot) -> bool:
        """Tell whether nothing of the same calls was committed from ``visit.before`` until ``after``."""
        before = visit.before
        if after.next_xid - before.next_xid + len(before.running) > MOST_TRANSACTIONS:
            return False
        others = before.running.union(range(before.next_xid, after.next_xid)) - after.running - {visit.xid}
        return all(self._is_apart(visit.footprint, other) for other in others)

    def leave(self, visit: Visit) -> None:
        """End, whatever became of it."""
        self._under_way.discard(visit)
        for known in list(self._known.values()):
            known.watchers.discard(visit)
            if not known.watchers and known not in self._under_way:
                del self._known[known.xid]

    def _is_apart(self, footprint: Footprint | None, other: int) -> bool:
        known = self._known.get(other)
        if footprint is None or known is None or known.footprint is None:
            return False
        return not footprint.touches(known.footprint)
