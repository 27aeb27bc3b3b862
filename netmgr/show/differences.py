"""What netmgr would do, without doing it: what `netmgr check` and `netmgr diff` show."""

from typing import Callable, Dict, List, Optional, Sequence, Tuple

from netmgr.config.schema import Config
from netmgr.model.inventory import Inventory
from netmgr.model.managed_set import ManagedSet
from netmgr.model.model import Model
from netmgr.sync.reconciler import Kernel, Reconciler
from netmgr.values.holds import misfit
from netmgr.values.named_tuple import NamedTuple
from netmgr.values.sets import Change, SetInfo, SetName
from netmgr.values.text import aligned
from netmgr.wire import nft_text

NOTHING = "# nothing would change"

Inspect = Callable[[SetName], Optional[SetInfo]]


class Found(NamedTuple):
    """What would change, and the sets that could not be filled, each with the reason."""

    changes: Sequence[Change]
    wrong: Sequence[str]


def candidates(config: Config) -> Dict[SetName, Sequence[str]]:
    """Every set that could be filled, with the chains that its elements would name."""
    return {managed.name: managed.role.chains for managed in Model(config, Inventory()).sets.values()}


def check_text(config: Config, inspect: Optional[Inspect]) -> str:
    """Every set that could be filled, from which zone, with what; `inspect` asks the kernel, None when it may not be asked.

    Those that there are not have one line for all of a zone.
    """
    rows = []
    missing: Dict[str, List[SetName]] = {}
    for managed in Model(config, Inventory()).sets.values():
        zone = ", ".join(dict.fromkeys(feed.zone for feed in managed.role.feeds))
        holds = ", ".join(dict.fromkeys(feed.holds for feed in managed.role.feeds))
        info = None if inspect is None else inspect(managed.name)
        if inspect is not None and info is None:
            missing.setdefault(zone, []).append(managed.name)
        else:
            rows.append([str(managed.name), "%s of %s" % (holds, zone), "" if info is None else _fitness(managed, info)])
    absent = ["%s: no such sets now: %s" % (zone, _names(names)) for zone, names in missing.items()]
    return "".join("%s\n" % line for line in [*aligned(rows), *absent])


def _names(names: Sequence[SetName]) -> str:
    """inet filter wan_ips, wan_ips6; ip nat wan_ips"""
    tables: Dict[str, List[str]] = {}
    for name in names:
        tables.setdefault("%s %s" % name[:2], []).append(name.name)
    return "; ".join("%s %s" % (table, ", ".join(each)) for table, each in tables.items())


def of_a_start(config: Config, kernel: Kernel, inventory: Inventory, hold: bool) -> Found:
    """What a daemon would send that starts now.  `hold`: there may be containers that are not known."""
    model = Model(config, inventory)
    if not hold:
        model.retire(name for name in kernel.marked(model.sets) if name is not None)
    return _found(model, kernel, hold)


def of_a_reload(config: Config, kernel: Kernel, running: Model) -> Found:
    """What the daemon with this model would send for another configuration."""
    model = Model(config, running.inventory)
    model.retire(running.sets)
    return _found(model, kernel, running.hold)


def text(found: Found) -> str:
    """As nft commands; sets that cannot be filled as comments."""
    return "".join("%s\n" % line for line in [*("# " + each for each in found.wrong), *nft_text.text(found.changes)])


def answer(found: Found) -> str:
    """The same, with a line for nothing: no answer is empty."""
    return text(found) + ("" if found.changes else NOTHING + "\n")


def read_answer(said: str) -> Tuple[bool, str]:
    """Whether anything would change, and the text."""
    lines = [line for line in said.splitlines() if line != NOTHING]
    return any(not line.startswith("#") for line in lines), "".join("%s\n" % line for line in lines)


def _found(model: Model, kernel: Kernel, hold: bool) -> Found:
    model.hold = hold
    model.recount()
    changes = Reconciler(kernel, model, lambda _level, _line: None, dry_run=True).reconcile(0.0)
    return Found(changes, ["%s: %s" % (managed.name, managed.error) for managed in model.sets.values() if managed.error])


def _fitness(managed: ManagedSet, info: SetInfo) -> str:
    wrong = [reason for reason in (misfit(info, feed.holds, feed.value) for feed in managed.role.feeds) if reason]
    return "cannot be filled: %s" % wrong[0] if wrong else "would be filled (%s)" % info.type_text
