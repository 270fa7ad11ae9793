"""Attacks by many requests without a token."""

import socket
import threading
import time

from tests.support.hostile.attack import Attack
from tests.support.hostile.target import Target

CONNECTIONS = 20
REQUEST = b"GET /api/v1/offers HTTP/1.1\r\nHost: x\r\n\r\n"


def send_requests_without_token(target: Target, seconds: float) -> int:
    """Sends requests without a token on several connections, each as soon as the last one is answered."""
    end, sent = time.monotonic() + seconds, [0] * CONNECTIONS

    def send(number: int) -> None:
        with socket.create_connection(("127.0.0.1", target.port)) as connection:
            while time.monotonic() < end:
                connection.sendall(REQUEST)
                sent[number] += len(REQUEST)
                if not connection.recv(65536):
                    return

    threads = [threading.Thread(target=send, args=(number,)) for number in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(sent)


ATTACKS = (Attack("requests without a token", send_requests_without_token),)
