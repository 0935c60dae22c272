"""The web server: WSGI with threads that wait for no slow client (webapp/core/http/buffered_worker.py)."""

import os

RECEIVE_SECONDS = 15.0

bind = os.environ.get("HILUM_BIND", "127.0.0.1:8000")
worker_class = "webapp.core.http.buffered_worker.BufferedWorker"
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
# So many for pages, and as many again for requests with a large body.
threads = 8
worker_connections = 512
sendfile = False  # it would send without a minimum rate
timeout = 120
graceful_timeout = 30
worker_tmp_dir = "/tmp"  # noqa: S108 (a container keeps its own in memory)
control_socket_disable = True


def post_worker_init(worker) -> None:
    from webapp.core.http.warm import warm

    worker.receive_seconds = RECEIVE_SECONDS
    warm()


def post_request(worker, req, environ, resp) -> None:
    from webapp.core.http.network import KNOWN_CALLER

    req.known_caller = bool(environ.get(KNOWN_CALLER))
