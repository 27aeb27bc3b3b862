"""So many clients that ask netmgr again and again, each as soon as it has its answer: readers.py SOCKET CLIENTS LINE

Says "ready" once each client has had an answer, and goes on until it is killed.
"""

import selectors
import socket
import sys

path, clients, line = sys.argv[1], int(sys.argv[2]), sys.argv[3].encode() + b"\n"
selector = selectors.DefaultSelector()
answered = set()
room = bytearray(1 << 16)


def ask(client):
    """A new connection with one question."""
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(path)
    connection.sendall(line)
    connection.shutdown(socket.SHUT_WR)
    selector.register(connection, selectors.EVENT_READ, client)


for number in range(clients):
    ask(number)


def received(connection):
    """Bytes of the answer; 0 at its end, also when netmgr hangs up."""
    try:
        return connection.recv_into(room)
    except ConnectionResetError:
        return 0


while True:
    for key, _ready in selector.select():
        if not received(key.fileobj):
            selector.unregister(key.fileobj)
            key.fileobj.close()
            ask(key.data)
            if key.data not in answered and len(answered) + 1 == clients:
                print("ready", flush=True)
            answered.add(key.data)
