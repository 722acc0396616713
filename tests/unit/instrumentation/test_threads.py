"""Who pays goes along: into executors, threads, tasks; and nobody pays for somebody else's work."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

import ai_usage
from ai_usage import _threads, semconv, usage_context
from ai_usage.attribution import current_attributes

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def carried() -> Iterator[None]:
    ai_usage.instrument(sdks=())
    yield
    ai_usage.uninstrument()


def payer(*_: object) -> object:
    return current_attributes().get(semconv.USER_ID)


def test_work_given_to_an_executor_is_paid_by_whoever_gave_it() -> None:
    with ThreadPoolExecutor(1) as pool:
        with usage_context(user_id="first"):
            assert pool.submit(payer).result(10) == "first"
            assert list(pool.map(payer, range(2))) == ["first", "first"]
        with usage_context(user_id="second"):
            assert pool.submit(payer).result(10) == "second"
        assert pool.submit(payer).result(10) is None, "the pool's thread kept whoever made it start"


async def test_a_loops_executor_and_to_thread_too() -> None:
    with usage_context(user_id="7"):
        assert await asyncio.get_running_loop().run_in_executor(None, payer) == "7"
        assert await asyncio.to_thread(payer) == "7"
        assert await asyncio.create_task(asyncio.to_thread(payer)) == "7"


def test_a_thread_and_a_timer_are_paid_by_whoever_started_them() -> None:
    found: list[object] = []

    class Worker(threading.Thread):
        def run(self) -> None:
            found.append(payer())

    with usage_context(user_id="7"):
        for thread in (
            threading.Thread(target=lambda: found.append(payer())),
            Worker(),
            threading.Timer(0, lambda: found.append(payer())),
        ):
            thread.start()
            thread.join(10)
    plain = Worker()
    plain.start()
    plain.join(10)
    assert found == ["7", "7", "7", None]
    assert "run" not in vars(plain)


def test_errors_and_results_pass_through_unchanged() -> None:
    with usage_context(user_id="7"), ThreadPoolExecutor(1) as pool:
        failing = pool.submit(lambda: {}["k"])
        with pytest.raises(KeyError):
            failing.result(10)
        assert pool.submit(dict, a=1).result(10) == {"a": 1}


def test_a_thread_is_dropped_when_it_is_done() -> None:
    import gc
    import weakref

    with usage_context(user_id="7"):
        thread = threading.Thread(target=payer)
        thread.start()
        thread.join(10)
    gone = weakref.ref(thread)
    del thread
    gc.collect()
    assert gone() is None


def test_uninstrumenting_gives_threads_and_executors_back(monkeypatch: pytest.MonkeyPatch) -> None:
    carrying = ThreadPoolExecutor.submit, threading.Thread.start
    ai_usage.uninstrument()
    assert (ThreadPoolExecutor.submit, threading.Thread.start) != carrying
    monkeypatch.setenv(_threads.THREADS_SETTING, "false")
    plain = ThreadPoolExecutor.submit, threading.Thread.start
    ai_usage.instrument(sdks=())
    assert (ThreadPoolExecutor.submit, threading.Thread.start) == plain
    ai_usage.instrument(sdks=(), threads=True)
    assert (ThreadPoolExecutor.submit, threading.Thread.start) != plain
