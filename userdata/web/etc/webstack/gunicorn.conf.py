"""Gunicorn for the app; WEB_CONCURRENCY (worker processes) comes from the environment."""

bind = "unix:/run/webstack-app/gunicorn.sock"
umask = 0o007
worker_class = "gthread"
threads = 8
timeout = 30
graceful_timeout = 25
worker_tmp_dir = "/dev/shm"  # noqa: S108  Gunicorn's heartbeat files: in memory, or a busy disk kills healthy workers
forwarded_allow_ips = "*"  # only Nginx reaches the socket
control_socket_disable = True  # systemd is what manages it
accesslog = None  # Nginx logs requests
errorlog = "-"
