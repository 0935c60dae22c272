"""The web server in production: WSGI with threads, so that a body is read only when a view asks for it."""

bind = "0.0.0.0:8000"
worker_class = "gthread"
workers = 2
threads = 8
timeout = 120
graceful_timeout = 30
worker_tmp_dir = "/tmp"  # noqa: S108 (the container keeps its own in memory)
forwarded_allow_ips = "*"  # only the proxy can reach this port
