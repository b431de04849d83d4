"""What a web host's drain is for: what is in flight when it is told to stop has the drain's time and Nginx's to come to its end."""

import json
import threading
import time
import uuid
from collections.abc import Iterator

from stack.sections import WebSettings
from tests.lab.harness import LabUnderTest, wait_until
from tests.lab.shop import any_product, sign_up

NGINX_SECONDS = 30
"""Nginx finishes what it has begun for so long (TimeoutStopSec of its unit)."""

UPLOADS = 6


class Upload(threading.Thread):
    """An order over a line so slow that its last byte is sent when `finish` is set."""

    def __init__(self, lab: LabUnderTest, token: str, product: str, finish: threading.Event) -> None:
        super().__init__(daemon=True)
        self.lab, self.token, self.product, self.finish = lab, token, product, finish
        self.begun = threading.Event()
        self.said: object = "nothing"
        self.web_host = ""

    def body(self) -> Iterator[bytes]:
        """A byte each second, and the rest at the end."""
        text = json.dumps({"id": str(uuid.uuid4()), "product": self.product, "quantity": 1}).encode()
        sent = 0
        while sent < len(text) - 1 and not self.finish.is_set():
            yield text[sent : sent + 1]
            sent += 1
            self.begun.set()
            self.finish.wait(1)
        self.finish.wait()
        yield text[sent:]

    def run(self) -> None:
        """Sends it and keeps the answer."""
        try:
            with self.lab.http_client() as browser:
                headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self.token}"}
                answer = browser.post("/api/orders", content=self.body(), headers=headers, timeout=120)
            self.said, self.web_host = answer.status_code, answer.headers.get("x-web-host", "")
        except Exception as error:
            self.said = error


def test_a_slow_upload_outlives_the_drain_of_its_host(lab: LabUnderTest) -> None:
    drain = WebSettings().drain_seconds
    finish = threading.Event()
    with lab.http_client() as browser:
        token, product = sign_up(browser), any_product(browser)
    uploads = [Upload(lab, token, product, finish) for _ in range(UPLOADS)]
    try:
        for upload in uploads:
            upload.start()
        assert all(upload.begun.wait(60) for upload in uploads)
        stopped_at = time.monotonic()
        stop = threading.Thread(target=lab.command, args=("stop", "web-1"), daemon=True)
        stop.start()
        wait_until(
            lambda: not lab.run_on("web-1", "systemctl", "is-active", "webstack-drain.service", check=False).startswith("active"),
            seconds=60,
            what="the drain has begun",
        )
        # Longer than Nginx alone would wait for it, and not so long as both together.
        time.sleep(max(0.0, NGINX_SECONDS + drain / 2 - (time.monotonic() - stopped_at)))
        finish.set()
        for upload in uploads:
            upload.join(60)
        assert [upload.said for upload in uploads] == [201] * UPLOADS
        assert {upload.web_host for upload in uploads} == {"web-1", "web-2"}, "one of them at least was the stopping host's"
        stop.join(120)
    finally:
        finish.set()
        lab.command("start", "web-1")
        wait_until(lambda: lab.hosts()["web-1"]["ready"], seconds=120, what="web-1 is ready again")
