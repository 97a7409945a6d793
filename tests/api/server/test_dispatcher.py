import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import SimpleNamespace

import pytest

from task_queue.actors.messages.reply import Reply
from task_queue.api.server import dispatcher as module
from task_queue.api.server.channel import Channel
from task_queue.api.server.dispatcher import Dispatcher
from task_queue.api.server.patience import TooSlowError
from tests.fakes import DEADLINE_SECONDS


class Visited:
    """A connection that does something at each visit, and says so afterwards."""

    is_quick = False

    def __init__(self, *visits: Callable[[], None]) -> None:
        self._visits = iter(visits)
        self._done = threading.Semaphore(0)

    def service(self) -> None:
        try:
            next(self._visits)()
        finally:
            self._done.release()

    def wait(self) -> None:
        assert self._done.acquire(timeout=DEADLINE_SECONDS)

    @property
    def is_untouched(self) -> bool:
        return not self._done.acquire(blocking=False)


def nothing() -> None:
    """What most visits do here."""


@pytest.fixture
def patient_shutdown(monkeypatch: pytest.MonkeyPatch) -> None:
    """A shutdown that waits for whatever the test does meanwhile."""
    monkeypatch.setattr(module, "SHUTDOWN_SECONDS", DEADLINE_SECONDS)


@contextmanager
def dispatching(threads: int = 1) -> Iterator[Dispatcher]:
    dispatcher = Dispatcher(threads)
    try:
        yield dispatcher
    finally:
        dispatcher.shutdown()


def test_a_parked_connection_occupies_no_thread_and_is_visited_again_when_replied() -> None:
    reply: Reply[None] = Reply()
    with dispatching() as dispatcher:
        parked = Visited(lambda: dispatcher.park(parked, reply), nothing)
        other = Visited(nothing)
        dispatcher.add_task(parked)
        parked.wait()
        dispatcher.add_task(other)
        other.wait()
        assert parked.is_untouched
        reply.answer(None)
        parked.wait()


def test_a_connection_parked_on_a_reply_that_is_there_is_visited_again_at_once() -> None:
    reply: Reply[None] = Reply()
    reply.answer(None)
    with dispatching() as dispatcher:
        parked = Visited(lambda: dispatcher.park(parked, reply), nothing)
        dispatcher.add_task(parked)
        parked.wait()
        parked.wait()


def test_a_visit_that_fails_takes_no_thread_with_it() -> None:
    def fail() -> None:
        raise SystemExit

    failing, other = Visited(fail), Visited(nothing)
    with dispatching() as dispatcher:
        dispatcher.add_task(failing)
        dispatcher.add_task(other)
        other.wait()


def test_a_thread_is_kept_for_what_is_quick() -> None:
    gate = threading.Event()
    slow, next_slow, quick = (
        Visited(lambda: assert_opened(gate)),
        Visited(nothing),
        Visited(nothing),
    )
    quick.is_quick = True
    with dispatching(2) as dispatcher:
        for channel in (slow, next_slow, quick):
            dispatcher.add_task(channel)
        quick.wait()
        assert next_slow.is_untouched
        gate.set()
        next_slow.wait()


@pytest.mark.parametrize(
    ("request_line", "is_quick"),
    [
        (("GET", "/healthz"), True),
        (("POST", "/tasks"), True),
        (("GET", "/tasks"), False),
        (("GET", "/readyz"), False),
        (("POST", "/queues/tasks/purge"), False),
    ],
)
def test_quick_is_what_asks_nobody_or_is_parked(
    request_line: tuple[str, str],
    is_quick: bool,  # noqa: FBT001
) -> None:
    channel = Channel.__new__(Channel)
    command, path = request_line
    channel.requests = [SimpleNamespace(error=None, command=command, path=path)]
    assert channel.is_quick is is_quick
    channel.url_prefix, channel.requests[0].path = "/queue", f"/queue{path}"
    assert channel.is_quick is is_quick
    channel.requests[0].error = TooSlowError("it has not come")
    assert channel.is_quick


def test_what_was_held_back_is_answered_by_a_shutdown_in_all_threads() -> None:
    gate = threading.Event()
    slow = Visited(lambda: assert_opened(gate))
    both = threading.Barrier(2, timeout=DEADLINE_SECONDS)
    first, second = (Visited(partial(meet, both)) for _ in range(2))
    with dispatching(3) as dispatcher:
        for channel in (slow, first, second):
            dispatcher.add_task(channel)
        shutdown = threading.Thread(target=dispatcher.shutdown)
        shutdown.start()
        first.wait()
        second.wait()
        gate.set()
        shutdown.join(DEADLINE_SECONDS)
        assert not both.broken


@pytest.mark.usefixtures("patient_shutdown")
def test_a_shutdown_answers_what_is_parked_first() -> None:
    reply: Reply[None] = Reply()
    dispatcher = Dispatcher(1)
    parked = Visited(lambda: dispatcher.park(parked, reply), nothing)
    dispatcher.add_task(parked)
    parked.wait()
    shutdown = threading.Thread(target=dispatcher.shutdown)
    shutdown.start()
    reply.answer(None)
    parked.wait()
    shutdown.join(DEADLINE_SECONDS)
    assert not shutdown.is_alive()


@pytest.mark.usefixtures("patient_shutdown")
def test_a_shutdown_answers_what_is_parked_only_after_it_began() -> None:
    reply, gate = Reply[None](), threading.Event()
    dispatcher = Dispatcher(1)
    slow = Visited(lambda: assert_opened(gate))
    parked = Visited(lambda: dispatcher.park(parked, reply), nothing)
    dispatcher.add_task(slow)  # keeps the only thread, so that the other is not looked at yet
    dispatcher.add_task(parked)
    shutdown = threading.Thread(target=dispatcher.shutdown)
    shutdown.start()
    gate.set()
    parked.wait()
    reply.answer(None)
    parked.wait()
    shutdown.join(DEADLINE_SECONDS)
    assert not shutdown.is_alive()


def assert_opened(gate: threading.Event) -> None:
    assert gate.wait(DEADLINE_SECONDS)


def meet(barrier: threading.Barrier) -> None:
    barrier.wait()


def test_a_shutdown_begins_nothing_after_its_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SHUTDOWN_SECONDS", 0.05)
    gate = threading.Event()
    slow, late = Visited(lambda: assert_opened(gate)), Visited(nothing)
    dispatcher = Dispatcher(1)
    dispatcher.add_task(slow)  # keeps the only thread
    dispatcher.add_task(late)
    dispatcher.shutdown()
    assert late.is_untouched
    gate.set()
    late.wait()


def test_a_shutdown_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SHUTDOWN_SECONDS", 0.05)
    with dispatching() as dispatcher:
        parked = Visited(lambda: dispatcher.park(parked, Reply[None]()))
        dispatcher.add_task(parked)
        parked.wait()
