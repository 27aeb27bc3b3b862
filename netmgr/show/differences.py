"""What netmgr would do, without doing it: the texts of `netmgr check` and `netmgr diff`."""

from typing import Callable, Dict, List, Optional

from netmgr.config.schema import Config
from netmgr.model.inventory import Inventory
from netmgr.model.managed_set import ManagedSet
from netmgr.model.model import Model
from netmgr.sync.reconciler import Kernel, Reconciler
from netmgr.values import sets
from netmgr.values.events import Event
from netmgr.values.sets import SetInfo, SetName
from netmgr.values.text import aligned
from netmgr.wire import nft_text

Inspect = Callable[[SetName], Optional[SetInfo]]


def check_text(config: Config, inspect: Optional[Inspect]) -> str:
    """Every set that could be filled, from which zone, with what; `inspect` asks the kernel, None when it may not be asked."""
    rows = []
    for managed in Model(config, Inventory()).sets.values():
        zone = ", ".join(dict.fromkeys(feed.zone for feed in managed.role.feeds))
        holds = ", ".join(dict.fromkeys(feed.holds for feed in managed.role.feeds))
        rows.append([str(managed.name), "%s of %s" % (holds, zone), "" if inspect is None else _fitness(managed, inspect(managed.name))])
    return "".join("%s\n" % line for line in aligned(rows))


def diff_text(config: Config, kernel: Kernel, links: List[Event], addresses: Dict[int, Dict[bytes, int]],
              containers_unknown: bool) -> str:
    """What a start would send, as nft commands; sets that cannot be filled as comments."""
    model = Model(config, Inventory())
    model.hold = containers_unknown
    model.inventory.replace_interfaces(links, addresses)
    model.recount()
    changes = Reconciler(kernel, model, lambda _level, _line: None, dry_run=True).reconcile(0.0)
    wrong = ["# %s: %s" % (managed.name, managed.error) for managed in model.sets.values() if managed.error]
    return "".join("%s\n" % line for line in [*wrong, *nft_text.text(changes)])


def _fitness(managed: ManagedSet, info: Optional[SetInfo]) -> str:
    if info is None:
        return "no such set now"
    wrong = [reason for reason in (sets.misfit(info, feed.holds) for feed in managed.role.feeds) if reason]
    return "cannot be filled: %s" % wrong[0] if wrong else "would be filled (%s)" % info.type
