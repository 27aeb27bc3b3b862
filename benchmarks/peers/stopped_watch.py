"""So many that watch and do not read: stopped_watch.py SOCKET WATCHES

Says "ready" once all watch; whom netmgr drops watches anew, until it is killed.
"""

import select
import socket
import sys

path, watches = sys.argv[1], int(sys.argv[2])
poll = select.poll()
connections = {}


def watch():
    """One more; it is told that netmgr has started, and reads no further."""
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(path)
    connection.sendall(b"watch json\n")
    connection.recv(1)
    connections[connection.fileno()] = connection
    poll.register(connection, select.POLLRDHUP)


for _number in range(watches):
    watch()
print("ready", flush=True)
while True:
    for descriptor, _event in poll.poll():
        poll.unregister(descriptor)
        connections.pop(descriptor).close()
        watch()
