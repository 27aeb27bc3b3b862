"""What is told of repairs: one line each, but not the same line for ever.

When the same program undoes the same sets a fourth time within a minute, its doings are summed up from then on: one line a minute says
how often, until a minute without.
"""

from __future__ import annotations

from collections import deque
from typing import Deque, Dict, List, Optional, Sequence, Tuple

from netmgr.values.named_tuple import NamedTuple
from netmgr.values.sets import SetName
from netmgr.values.text import number

TOLD_ONE_BY_ONE, MINUTE = 3, 60.0
ACCOUNTS_AT_MOST = 64
NAMED_AT_MOST = 8

Key = Tuple[str, Tuple[SetName, ...]]


class Repaired(NamedTuple):
    """Of one program and some sets: when the last few repairs were told; those since then that were not, and until when they are summed."""

    told: Deque[float]
    untold: int = 0
    who: str = ""
    until: Optional[float] = None


class Accounts:
    """By program (all processes of one name are one program) and sets.  `due`: when sums() has something to tell."""

    def __init__(self) -> None:
        self.due: Optional[float] = None
        self._accounts: Dict[Key, Repaired] = {}

    def repaired(self, program: str, who: str, sets: Tuple[SetName, ...], now: float) -> bool:
        """Take note of a repair; whether to tell it by itself."""
        account = self._accounts.pop((program, sets), Repaired(deque(maxlen=TOLD_ONE_BY_ONE)))
        while len(self._accounts) >= ACCOUNTS_AT_MOST:
            del self._accounts[next(iter(self._accounts))]
        told = account.told
        again = account.until is not None or (len(told) == TOLD_ONE_BY_ONE and now - told[0] < MINUTE)
        if again:
            account = account._replace(untold=account.untold + 1, who=who, until=account.until or now + MINUTE)
        else:
            told.append(now)
        self._accounts[program, sets] = account
        self._plan()
        return not again

    def sums(self, now: float) -> List[str]:
        """A line for each program whose minute is over; with nothing to tell of a minute, that program is done with."""
        lines = []
        for key, account in list(self._accounts.items()):
            if account.until is None or account.until > now:
                continue
            if account.untold:
                lines.append("repaired %s %s more within a minute, last after %s" % (
                    names_of(key[1]), number(account.untold, "time"), account.who))
                self._accounts[key] = account._replace(untold=0, until=now + MINUTE)
            else:
                del self._accounts[key]
        self._plan()
        return lines

    def fought(self, program: str) -> List[SetName]:
        """The sets in which a program undoes netmgr's work again and again."""
        return sorted({name for (who, sets), account in self._accounts.items() if who == program and account.until is not None
                       for name in sets})

    def _plan(self) -> None:
        self.due = min((account.until for account in self._accounts.values() if account.until is not None), default=None)


def names_of(sets: Sequence[SetName]) -> str:
    """Sets by name, if they are not too many."""
    more = "" if len(sets) <= NAMED_AT_MOST else " and %d more" % (len(sets) - NAMED_AT_MOST)
    return ", ".join(map(str, sets[:NAMED_AT_MOST])) + more
