"""The web server: WSGI with threads, so that a body is read only when a view asks for it."""

import os

RECEIVE_SECONDS = 60.0

bind = os.environ.get("HILUM_BIND", "127.0.0.1:8000")
worker_class = "gthread"
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
threads = 8
timeout = 120
graceful_timeout = 30
worker_tmp_dir = "/tmp"  # noqa: S108 (a container keeps its own in memory)
control_socket_disable = True


def post_worker_init(worker) -> None:
    from webapp.core.http.warm import warm

    warm()


def pre_request(worker, request) -> None:
    """A thread waits for a silent client no longer than this; the view sees the upload break off."""
    request.unreader.sock.settimeout(RECEIVE_SECONDS)
