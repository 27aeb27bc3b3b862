"""pyroute2's parser on the bytes of a file: pyroute2_parse.py FILE ROUNDS

The file has datagrams, each behind its length as four bytes.  The fields that netmgr needs are looked at, since pyroute2 decodes
attributes when they are asked for.  Prints the seconds of each round.
"""

import struct
import sys
import time

from pyroute2.netlink.rtnl.marshal import MarshalRtnl


def datagrams(path):
    with open(path, "rb") as file:
        while True:
            header = file.read(4)
            if not header:
                return
            yield file.read(struct.unpack("=I", header)[0])


def parse(marshal, data):
    for message in marshal.parse(data):
        if message["header"]["type"] in (20, 21):
            yield message["index"], message["prefixlen"], message.get("IFA_LOCAL"), message.get("IFA_ADDRESS"), message.get("IFA_FLAGS")


def main():
    received = list(datagrams(sys.argv[1]))
    marshal = MarshalRtnl()
    for _round in range(int(sys.argv[2])):
        start = time.perf_counter()
        count = sum(1 for data in received for _fields in parse(marshal, data))
        print(time.perf_counter() - start, count)


main()
