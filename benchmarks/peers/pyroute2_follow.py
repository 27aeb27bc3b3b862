"""A loop on pyroute2 that follows addresses with a set: pyroute2_follow.py FAMILY TABLE SET INTERFACE

Says "ready" once it listens.
"""

import socket
import sys

from pyroute2 import IPRoute
from pyroute2.nftables.main import NFTables, NFTSet, NFTSetElem

NFPROTO = {"inet": 1, "ip": 2}


def main():
    family, table, name, interface = sys.argv[1:]
    index = socket.if_nametoindex(interface)
    following = NFTSet(table=table, name=name, key_type="ipv4_addr")
    with IPRoute() as ipr, NFTables(nfgen_family=NFPROTO[family]) as nft:
        ipr.bind()
        print("ready", flush=True)
        while True:
            for message in ipr.get():
                if message["event"] not in ("RTM_NEWADDR", "RTM_DELADDR") or message["index"] != index:
                    continue
                verb = "add" if message["event"] == "RTM_NEWADDR" else "del"
                nft.set_elems(verb, set=following, elements=[NFTSetElem(message.get("IFA_LOCAL"))])


main()
