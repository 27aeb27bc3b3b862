"""netmgr keeps the elements of nftables sets equal to what the network really is."""

__version__ = "0.1.0"
