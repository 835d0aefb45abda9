"""A client in Python that needs only the standard library.

    python3 client.py <port>
"""

import json
import socket
import sys


class Peer:
    """Sends and receives JSON values, one per line."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.lines = self.socket.makefile("r", encoding="utf-8", newline="\n")

    def send(self, value):
        self.socket.sendall((json.dumps(value) + "\n").encode("utf-8"))

    def receive(self):
        return json.loads(self.lines.readline())

    def close(self):
        self.lines.close()
        self.socket.close()


def main():
    peer = Peer(int(sys.argv[1]))
    for value in ({"greeting": "Grüße"}, [1, 2, 3.5], {"nested": {"list": [None, True]}}):
        peer.send(value)
        print("python: got", json.dumps(peer.receive(), ensure_ascii=False), flush=True)
    # The server skips a line that is not JSON, and reads the next one.
    peer.socket.sendall(b"not json\n")
    peer.send({"still": "here"})
    print("python: got", json.dumps(peer.receive()), flush=True)
    peer.close()


main()
