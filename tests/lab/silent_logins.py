"""What an app that was taken over would do to the databases without any password: it keeps connections on which nobody logs in.

This is the program that runs on the web host: its text is handed to the host's Python. It takes the addresses of databases, how many
connections it wants to each, and for how many seconds; it opens again what is closed. At its end it prints a JSON object: how many it had
at most to each address, of those that MySQL greeted (`greeted`), and how often MySQL said that it has too many (`refused`).
"""

import json
import resource
import select
import socket
import sys
import time

TOO_MANY = b"\xff\x10\x04"
"""MySQL's error 1040, as a packet begins (https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_err_packet.html)."""


def main(databases: list[str], wanted: int, seconds: float) -> None:
    """Keeps `wanted` connections to each for so long."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
    kept: dict[str, dict[socket.socket, bool]] = {address: {} for address in databases}
    most = dict.fromkeys(databases, 0)
    refused = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for address, opened in kept.items():
            for _ in range(min(50, wanted - len(opened))):
                new = socket.socket()
                new.setblocking(False)
                new.connect_ex((address, 3306))
                opened[new] = False
            for one in readable(opened):
                try:
                    packet = one.recv(4096)
                except OSError:
                    packet = b""
                refused += packet[4:7] == TOO_MANY
                if packet and packet[4:5] != TOO_MANY[:1]:
                    opened[one] = True
                else:
                    del opened[one]
                    one.close()
            most[address] = max(most[address], sum(opened.values()))
    print(json.dumps({"greeted": most, "refused": refused}))


def readable(opened: dict[socket.socket, bool]) -> list[socket.socket]:
    """Those on which something came, or which have ended."""
    poll = select.poll()
    for one in opened:
        poll.register(one, select.POLLIN)
    by_number = {one.fileno(): one for one in opened}
    return [by_number[number] for number, _ in poll.poll(20)]


if __name__ == "__main__":
    main(json.loads(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
