import asyncio
import threading

import pytest

from scribe_core import aio
from scribe_core.errors import RunError


async def _double(number: int) -> int:
    await asyncio.sleep(0)
    return 2 * number


def test_runs_from_synchronous_code() -> None:
    assert aio.run(_double(2)) == 4


def test_runs_inside_a_running_loop() -> None:
    async def outer() -> int:
        return aio.run(_double(3))

    assert asyncio.run(outer()) == 6


def test_one_loop_serves_every_thread() -> None:
    async def loop() -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    loops = []
    threads = [threading.Thread(target=lambda: loops.append(aio.run(loop()))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(loops) == 8
    assert len(set(map(id, loops))) == 1


def test_exceptions_come_through() -> None:
    async def fail() -> None:
        raise KeyError("here")

    with pytest.raises(KeyError, match="here"):
        aio.run(fail())


@pytest.mark.parametrize("end", [SystemExit(3), KeyboardInterrupt(), asyncio.CancelledError("odd")])
@pytest.mark.parametrize("within", ["itself", "a task", "a gathered task"])
def test_a_part_that_ends_the_program_is_an_error_and_the_loop_lives_on(
    end: BaseException, within: str
) -> None:
    async def leave() -> None:
        raise end

    async def outer() -> None:
        if within == "itself":
            await leave()
        elif within == "a task":
            await asyncio.create_task(leave())
        else:
            await asyncio.gather(leave(), _double(1))

    async def elsewhere() -> None:
        await aio.here(outer())

    waiting, release = threading.Event(), threading.Event()
    doubled = []

    async def patient() -> int:
        waiting.set()
        while not release.is_set():
            await asyncio.sleep(0.001)
        return await _double(4)

    other = threading.Thread(target=lambda: doubled.append(aio.run(patient())))
    other.start()
    waiting.wait()
    with pytest.raises(RunError, match=rf"a part .*\({type(end).__name__}\("):
        aio.run(outer())
    with pytest.raises(RunError, match="a part"):
        asyncio.run(elsewhere())
    release.set()
    other.join()
    assert doubled == [8]
    assert aio.run(_double(5)) == 10


def test_calling_it_on_its_own_loop_is_an_error_and_not_a_deadlock() -> None:
    async def nested() -> int:
        return aio.run(_double(1))

    with pytest.raises(RunError, match="await"):
        aio.run(nested())


def test_an_interrupt_cancels_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    started, cancelled = threading.Event(), threading.Event()

    async def work() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    class Interrupted:
        """A future whose waiter is interrupted once the work has begun."""

        def __init__(self, future: object) -> None:
            self.future = future

        def result(self) -> None:
            started.wait()
            raise KeyboardInterrupt

        def cancel(self) -> None:
            self.future.cancel()  # type: ignore[attr-defined]

    submit = asyncio.run_coroutine_threadsafe
    monkeypatch.setattr(asyncio, "run_coroutine_threadsafe", lambda *args: Interrupted(submit(*args)))
    with pytest.raises(KeyboardInterrupt):
        aio.run(work())
    assert cancelled.wait()
