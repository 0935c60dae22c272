"""A gunicorn worker with threads that slow clients cannot hold.

The event loop receives a request's head and small body; a thread gets the request when all of it has arrived.
A larger body is read by a second pool of threads, when the view asks for it, and at a minimum rate. What a
view left unread is discarded by the event loop again, within bounds.
"""

from __future__ import annotations

import errno
import socket
import time
from concurrent import futures
from functools import partial
from selectors import EVENT_READ
from typing import Any

from gunicorn.http import get_parser
from gunicorn.workers.gthread import TConn, ThreadWorker

CHUNK = 1 << 16
HEAD_BYTES = 1 << 16
BUFFERED_BODY_BYTES = 1 << 16
# A body that a thread reads: may pause at first, must then average the rate, and ends.
GRACE_SECONDS = 10.0
BYTES_PER_SECOND = 16 << 10
BODY_SECONDS = 15 * 60.0
# How much of a refused body is discarded so that the response can arrive: (bytes, seconds).
FOR_ANYBODY, FOR_KNOWN_CALLERS = (256 << 10, 2.0), (512 << 20, 20.0)
TIMED_OUT = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
HEAD_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
)


class PacedSocket:
    """What a request is read from: refuses to wait for a body that arrives too slowly.

    Sending gets the same pace, so that a client that does not read gives its thread back.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.start()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def start(self) -> None:
        """A new request begins."""
        self._started: dict[str, float] = {}
        self._moved = {"in": 0, "out": 0}

    def recv(self, size: int) -> bytes:
        self._sock.settimeout(self._patience("in"))
        data = self._sock.recv(size)
        self._moved["in"] += len(data)
        return data

    def sendall(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            self._sock.settimeout(self._patience("out"))
            sent = self._sock.send(left)
            self._moved["out"] += sent
            left = left[sent:]

    def _patience(self, way: str) -> float:
        """How long the next bytes may take; raises TimeoutError when they are late already."""
        now = time.monotonic()
        started = self._started.setdefault(way, now)
        allowed = min(BODY_SECONDS, GRACE_SECONDS + self._moved[way] / BYTES_PER_SECOND)
        if (left := started + allowed - now) <= 0:
            raise TimeoutError("the client is too slow")
        return left


class BufferedWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """Buffers requests in the event loop; `receive_seconds` bounds the head and a small body together."""

    receive_seconds = 15.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.cfg.is_ssl:
            raise RuntimeError("BufferedWorker speaks plain HTTP: put a TLS proxy in front")
        # Both in the order of their deadlines, which grow by a constant.
        self.receiving: dict[TConn, float] = {}
        self.lingering: dict[TConn, float] = {}
        self.body_pool = futures.ThreadPoolExecutor(max_workers=self.cfg.threads)

    def run(self) -> None:
        try:
            super().run()
        finally:
            self.body_pool.shutdown(wait=False)

    def accept(self, listener: socket.socket) -> None:
        """Accept a connection; when there are too many, the one that has been incomplete longest goes."""
        if self.nr_conns >= self.worker_connections - 1 and self.receiving:
            self._drop(next(iter(self.receiving)))
        try:
            super().accept(listener)
        except OSError as error:
            if error.errno not in (errno.EMFILE, errno.ENFILE) or not self.receiving:
                raise
            self._drop(next(iter(self.receiving)))

    def enqueue_req(self, conn: TConn) -> None:
        """Receive the next request of a connection, new or kept alive."""
        if conn.parser is None:
            conn.sock = PacedSocket(conn.sock)
            conn.parser = get_parser(self.cfg, conn.sock, conn.client)
            conn.initialized = True
        conn.buffer = bytearray(conn.parser.unreader.take_buffered())
        conn.head_end = -1
        conn.sock.setblocking(False)
        self.receiving[conn] = time.monotonic() + self.receive_seconds
        self.poller.register(conn.sock, EVENT_READ, partial(self.on_receivable, conn))
        self._proceed(conn, 0)

    def on_receivable(self, conn: TConn, _file: Any) -> None:
        try:
            data = conn.sock._sock.recv(CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._drop(conn)
            return
        seen = len(conn.buffer)
        conn.buffer += data
        self._proceed(conn, seen)

    def _proceed(self, conn: TConn, seen: int) -> None:
        """Hand the request to a thread once it is complete, or its head is and the body is a large one."""
        if conn.head_end < 0:
            conn.head_end = conn.buffer.find(b"\r\n\r\n", max(0, seen - 3))
            if conn.head_end < 0:
                if len(conn.buffer) > HEAD_BYTES:
                    self._drop(conn, HEAD_TOO_LARGE)
                return
            conn.body_bytes = declared_body(bytes(conn.buffer[: conn.head_end]))
        conn.large = conn.body_bytes is None or conn.body_bytes > BUFFERED_BODY_BYTES
        if conn.large or len(conn.buffer) >= conn.head_end + 4 + conn.body_bytes:
            del self.receiving[conn]
            self.poller.unregister(conn.sock)
            conn.parser.unreader.unread(bytes(conn.buffer))
            conn.buffer = bytearray()
            running = (self.body_pool if conn.large else self.tpool).submit(self.handle, conn)
            running.add_done_callback(lambda done: self.method_queue.defer(self.finish_request, conn, done))

    def handle(self, conn: TConn) -> Any:
        conn.sock.start()
        return super().handle(conn)

    def handle_request(self, req: Any, conn: TConn) -> bool:
        if conn.large:
            # Where the next request starts is only known once all of the body has been read.
            req.should_close = lambda: True
        return bool(super().handle_request(req, conn))

    def finish_request(self, conn: TConn, fs: futures.Future[Any]) -> None:
        if not fs.cancelled() and fs.exception() is None and fs.result():
            super().finish_request(conn, fs)
        else:
            self._linger(conn)

    def _linger(self, conn: TConn) -> None:
        """Close for writing, then discard what still arrives: unread data would reset the connection."""
        request = conn.parser.mesg
        known = getattr(request, "known_caller", False)
        conn.discardable, seconds = FOR_KNOWN_CALLERS if known else FOR_ANYBODY
        try:
            conn.sock.setblocking(False)
            conn.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._close(conn)
            return
        self.lingering[conn] = time.monotonic() + seconds
        self.poller.register(conn.sock, EVENT_READ, partial(self.on_discardable, conn))

    def on_discardable(self, conn: TConn, _file: Any) -> None:
        try:
            received = len(conn.sock._sock.recv(CHUNK))
        except BlockingIOError:
            return
        except OSError:
            received = 0
        conn.discardable -= received
        if not received or conn.discardable <= 0:
            self._drop(conn)

    def murder_pending(self) -> None:
        """Called by the loop about once a second: closes the connections whose time is up."""
        now = time.monotonic()
        for conn, deadline in list(self.receiving.items()):
            if deadline <= now:
                self._drop(conn, TIMED_OUT if conn.buffer else b"")
            elif not (self.alive or conn.buffer):
                self._drop(conn)
        for conn in [conn for conn, deadline in self.lingering.items() if deadline <= now]:
            self._drop(conn)
        super().murder_pending()

    def _drop(self, conn: TConn, response: bytes = b"") -> None:
        self.receiving.pop(conn, None)
        self.lingering.pop(conn, None)
        self.poller.unregister(conn.sock)
        if response:
            try:
                conn.sock._sock.send(response)
            except OSError:
                self.log.debug("the client of a refused request has gone")
        self._close(conn)

    def _close(self, conn: TConn) -> None:
        self.nr_conns -= 1
        conn.close()


def declared_body(head: bytes) -> int | None:
    """The size of the body by the request's head; None where only reading shows it."""
    size = 0
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        name, value = name.strip().lower(), value.strip()
        if name in (b"transfer-encoding", b"expect"):
            return None
        if name == b"content-length":
            if not value.isdigit():
                return None
            size = int(value)
    return size
