"""A line of the app's log names the request that it was written for."""

import io
import logging

from flask import Flask
from flask.logging import default_handler


def test_lines_written_for_a_request_carry_its_id_and_others_a_dash(app: Flask) -> None:
    written = io.StringIO()
    assert logging.getLogger("shop").handlers == [default_handler]
    before = default_handler.setStream(written)
    try:
        with app.test_request_context(headers={"X-Request-ID": "0197-a"}):
            logging.getLogger("shop.database").warning("the reader is gone")
        app.logger.warning("no request here")
    finally:
        if before is not None:
            default_handler.setStream(before)
    first, second = written.getvalue().splitlines()
    assert first.endswith(" WARNING in test_logs, request 0197-a: the reader is gone")
    assert second.endswith(" WARNING in test_logs, request -: no request here")
