"""Ctrl-C during a run of the engine: the first cancels in order, the second ends it at once."""

import io
import os
import signal
import threading
import time
from typing import cast

import pytest

from lab.engine.engine import Engine
from ops import engine_run
from ops.engine_run import interruptible
from ops.terminal import Terminal


class Running:
    """An engine whose run ends when it is killed, or cancelled where it obeys."""

    def __init__(self, *, obeys: bool) -> None:
        self.said: list[str] = []
        self.begun = threading.Event()
        self.interrupted = threading.Event()
        self._obeys = obeys
        self._ended = threading.Event()

    def run(self) -> None:
        self.begun.set()
        assert self._ended.wait(60)

    def interrupt(self) -> None:
        self.said.append("interrupt")
        self.interrupted.set()
        if self._obeys:
            self._ended.set()

    def kill(self) -> None:
        self.said.append("kill")
        self._ended.set()


def typed(running: Running, *signals: int) -> str:
    """Runs until the signals, each given when the one before has arrived; what the console said."""

    def type_them() -> None:
        assert running.begun.wait(60)
        for number, sign in enumerate(signals):
            if number:
                assert running.interrupted.wait(60)
            os.kill(os.getpid(), sign)

    output = io.StringIO()
    thread = threading.Thread(target=type_them)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        interruptible(cast("Engine", running), Terminal(file=output, width=200), running.run)
    thread.join()
    return output.getvalue()


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_the_first_one_cancels_in_order_and_says_what_a_second_does(sign: signal.Signals) -> None:
    running = Running(obeys=True)
    said = typed(running, sign)
    assert running.said == ["interrupt"]
    assert "once more to stop at once" in said


def test_the_second_one_ends_it_at_once() -> None:
    running = Running(obeys=False)
    typed(running, signal.SIGINT, signal.SIGINT)
    assert running.said == ["interrupt", "kill"]


def test_an_engine_that_does_not_obey_is_ended_after_its_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_run, "CANCEL_TIMEOUT", 0.3)
    running = Running(obeys=False)
    typed(running, signal.SIGINT)
    assert running.said == ["interrupt", "kill"]


def test_ctrl_c_is_the_terminal_s_again_afterwards() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    assert interruptible(cast("Engine", Running(obeys=True)), Terminal(file=io.StringIO()), time.monotonic) > 0
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
