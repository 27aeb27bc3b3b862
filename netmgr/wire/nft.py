"""What the kernel calls things in nf_tables (linux/netfilter/nf_tables.h, nfnetlink.h)."""

NFNL_SUBSYS_NFTABLES = 10
NFNL_MSG_BATCH_BEGIN, NFNL_MSG_BATCH_END = 16, 17
NFNL_BATCH_GENID = 1
NFT_MSG_NEWTABLE = 0
NFT_MSG_GETTABLE = 1
NFT_MSG_GETCHAIN = 4
NFT_MSG_NEWSET = 9
NFT_MSG_GETSET = 10
NFT_MSG_DELSET = 11
NFT_MSG_NEWSETELEM = 12
NFT_MSG_GETSETELEM = 13
NFT_MSG_DELSETELEM = 14
NFT_MSG_NEWGEN = 15
NFT_MSG_GETGEN = 16
NFT_MSG_DESTROYSETELEM = 30

NFTA_CHAIN_TABLE, NFTA_CHAIN_NAME = 1, 3
NFTA_LIST_ELEM = 1
NFTA_SET_ELEM_LIST_ELEMENTS = 3
NFTA_SET_ELEM_FLAGS = 3
NFT_SET_ELEM_INTERVAL_END = 0x1

FAMILIES = {"inet": 1, "ip": 2, "arp": 3, "netdev": 5, "bridge": 7, "ip6": 10}
TYPES = {
    7: "ipv4_addr", 8: "ipv6_addr", 9: "ether_addr", 10: "ether_type", 11: "arp_op", 12: "inet_proto", 13: "inet_service", 14:
    "icmp_type", 15: "tcp_flag", 16: "dccp_pkttype", 17: "mh_type", 18: "time", 19: "mark", 20: "iface_index", 21: "iface_type", 22:
    "realm", 23: "classid", 24: "uid", 25: "gid", 26: "ct_state", 27: "ct_dir", 28: "ct_status", 29: "icmpv6_type", 30: "ct_label", 31:
    "pkt_type", 32: "icmp_code", 33: "icmpv6_code", 34: "icmpx_code", 35: "devgroup", 36: "dscp", 37: "ecn", 38: "fib_addrtype", 39:
    "boolean", 40: "ct_event", 41: "ifname", 42: "igmp_type", 43: "date", 44: "hour", 45: "day", 46: "cgroupsv2",
}
TYPE_BITS = 6           # that a type takes in the number of a concatenation
VERDICTS = 0xFFFFFF00   # NFT_DATA_VERDICT
