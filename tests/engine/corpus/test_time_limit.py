"""Code that takes too long is stopped, and nothing else is."""

from __future__ import annotations

import threading
import time

import pytest

from pytest_crossdiff.engine.corpus import time_limit as module
from pytest_crossdiff.engine.corpus.time_limit import TooLongError, time_limit


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(module, "SECONDS", 0.02)
    monkeypatch.setattr(module, "_POLL_SECONDS", 0.005)
    monkeypatch.setattr(module, "_AGAIN_SECONDS", 0.1)
    monkeypatch.setattr(module, "_IDLE_SECONDS", 0.05)


def work(seconds):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass


def watching():
    return [thread for thread in threading.enumerate() if thread.name == "crossdiff-time-limit"]


def test_it_is_stopped_although_it_catches_every_error():
    def stubborn():
        for _ in range(100):
            try:
                work(0.05)
            except Exception:  # noqa: BLE001, PERF203  as a template's filter may
                continue

    with pytest.raises(TooLongError, match=r"it takes longer than 0\.02 s"), time_limit():
        stubborn()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_it_is_stopped_although_a_finaliser_swallows_the_stop():
    class Slow:
        def __del__(self):
            work(0.1)

    def careless():
        Slow()
        work(2.0)

    with pytest.raises(TooLongError), time_limit():
        careless()


def test_nothing_is_stopped_once_it_is_over():
    for seconds in (0.0, 0.019, 0.02, 0.021, 0.025) * 3:  # about when the time is up
        try:
            with time_limit():
                work(seconds)
        except TooLongError:
            pass
        work(0.01)
    work(0.03)


def test_each_thread_has_its_own_limit(monkeypatch):
    stopped = []

    def slow():
        try:
            with time_limit():
                work(2.0)
        except TooLongError:
            stopped.append(1)

    monkeypatch.setattr(module, "SECONDS", 60.0)
    with time_limit():
        monkeypatch.setattr(module, "SECONDS", 0.02)
        other = threading.Thread(target=slow)
        other.start()
        other.join()
    assert stopped == [1]


def test_no_thread_is_left_behind():
    with time_limit():
        pass
    assert watching()
    until = time.monotonic() + 5.0
    while watching() and time.monotonic() < until:
        time.sleep(0.01)
    assert not watching()
