"""Every line of the log carries the id of the request that it was written for, as HAProxy's and Nginx's lines do, and nobody forges one."""

import logging

from flask import Flask, has_request_context, request
from flask.logging import default_handler

REQUEST_ID_HEADER = "X-Request-ID"
"""The load balancer makes it, gives it to the visitor with the answer, and lets no visitor set it."""

FORMAT = "[%(asctime)s] %(levelname)s in %(module)s, request %(request_id)s: %(message)s"


class RequestIdFilter(logging.Filter):
    """Gives each record the id of the current request, or "-"."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Adds `request_id`; nothing is left out."""
        record.request_id = request.headers.get(REQUEST_ID_HEADER, "-") if has_request_context() else "-"
        return True


class SingleLineFormatter(logging.Formatter):
    """A message with what a visitor sent stays one line: `%0a` in a path begins no other. Tracebacks, which follow it, keep theirs."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (logging's own name)
        """The line, with control characters as Python writes them."""
        text = super().formatMessage(record)
        return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)


_FILTER = RequestIdFilter()


def register(app: Flask) -> None:
    """Makes the handler of `app`'s log, which all of its modules' loggers end at, write the id; logins are told."""
    app.logger.setLevel(logging.INFO)
    default_handler.addFilter(_FILTER)
    default_handler.setFormatter(SingleLineFormatter(FORMAT))
    if default_handler not in app.logger.handlers:
        app.logger.addHandler(default_handler)
