"""Which sets a zone fills without a word in the configuration: one row for each name."""

from __future__ import annotations

from typing import Optional

from netmgr.values.holds import ADDRESSES, INTERFACES, NETWORKS
from netmgr.values.named_tuple import NamedTuple
from netmgr.values.sets import IPV4_ADDR, IPV6_ADDR


class Conventional(NamedTuple):
    """The zone's name followed by `suffix` is a set that holds this; `created`: the type with which `create: true` makes it."""

    suffix: str
    holds: str
    created: Optional[str] = None


CONVENTION = (                  # a zone without any of these sets is reported under the first name
    Conventional("_ips", ADDRESSES, IPV4_ADDR),
    Conventional("_ips6", ADDRESSES, IPV6_ADDR),
    Conventional("_ipv6", ADDRESSES),
    Conventional("_nets", NETWORKS),
    Conventional("_nets6", NETWORKS),
    Conventional("_ifs", INTERFACES),
)
LONGEST_SUFFIX = max(len(row.suffix) for row in CONVENTION)
