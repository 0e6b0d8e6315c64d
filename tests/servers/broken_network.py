"""A network between a client and a MySQL server that breaks when a test says so."""

from __future__ import annotations

import contextlib
import select
import socket
import threading

COMMIT = b"\x07\x00\x00\x00\x03COMMIT"

ANSWER_LOST = "the server commits, the client is cut off before it hears of it"
ANSWER_LATE = "the server commits, and the client waits for an answer that never comes"
COMMIT_LOST = "the client is cut off before its commit arrives, and the server is told nothing"


class BrokenNetwork:
    """Hands bytes to a server on this machine and back.

    Attributes:
        port: Where it listens.
        commit_faults: What happens to the next commits, in order; what has happened is taken out.
        meanwhile: Called after a commit whose answer is lost, before the client notices.
    """

    def __init__(self, server_port):
        self.server_port = server_port
        self.commit_faults = []
        self.meanwhile = None
        self.port = 0
        self._open = {}
        self._threads = []
        self.up()

    def up(self):
        self._listener = socket.create_server(("127.0.0.1", self.port), backlog=128)
        self.port = self._listener.getsockname()[1]
        self._start(self._accept, self._listener)

    def down(self):
        """Refuse connections, and cut off those that there are."""
        self._listener.shutdown(socket.SHUT_RDWR)
        for one in list(self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(timeout=30)
        for one in self._open:
            one.close()
        self._listener.close()
        self._open.clear()
        self._threads.clear()

    @contextlib.contextmanager
    def gone_for(self, seconds):
        """Down now, and up again after a while."""
        self.down()
        timer = threading.Timer(seconds, self.up)
        timer.start()
        yield
        timer.join()

    def _start(self, target, *arguments):
        self._threads.append(threading.Thread(target=target, args=arguments, daemon=True))
        self._threads[-1].start()

    def _accept(self, listener):
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                self._open[client] = None
                server = socket.create_connection(("127.0.0.1", self.server_port))
                self._open[server] = None
                for one in (client, server):
                    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._start(self._carry, client, server)

    def _carry(self, client, server):
        with contextlib.suppress(OSError):
            while True:
                for source in select.select([client, server], [], [])[0]:
                    data = source.recv(1 << 16)
                    if source is client and data == COMMIT and self.commit_faults:
                        self._lose(self.commit_faults.pop(0), client, server)
                        return
                    if not data:
                        client.shutdown(socket.SHUT_RDWR)
                        server.shutdown(socket.SHUT_RDWR)
                        return
                    (server if source is client else client).sendall(data)

    def _lose(self, fault, client, server):
        if fault is not COMMIT_LOST:
            server.sendall(COMMIT)
            server.recv(1 << 16)
            if self.meanwhile is not None:
                self.meanwhile()
        if fault is not ANSWER_LATE:
            client.shutdown(socket.SHUT_RDWR)
        if fault is ANSWER_LOST:
            server.shutdown(socket.SHUT_RDWR)
