import threading
from contextlib import suppress
from functools import partial

import pytest

from task_queue.actors.errors import AnswerTimeoutError, QueueFullError
from task_queue.actors.messages.reply import Reply


def test_an_answer_given_before_or_while_somebody_waits_arrives() -> None:
    early: Reply[int] = Reply()
    early.answer(1)
    late: Reply[int] = Reply()
    threading.Timer(0.01, late.answer, [2]).start()
    assert (early.wait(0), late.wait(10)) == (1, 2)


def test_an_expected_error_is_raised_where_the_answer_is_awaited() -> None:
    reply: Reply[None] = Reply()
    reply.fail(QueueFullError("full"))
    with pytest.raises(QueueFullError, match="full"):
        reply.wait(0)


def test_the_first_answer_counts() -> None:
    reply: Reply[int] = Reply()
    assert reply.answer(1)
    assert not reply.answer(2)
    assert not reply.fail(QueueFullError())
    assert reply.wait(0) == 1
    failed: Reply[int] = Reply()
    assert failed.fail(QueueFullError())
    assert not failed.answer(1)


def test_no_answer_in_time_says_that_the_outcome_is_unknown() -> None:
    with pytest.raises(AnswerTimeoutError, match="unknown"):
        Reply[None]().wait(-1)


def test_a_call_is_made_once_whether_it_comes_before_the_answer_or_after() -> None:
    calls: list[str] = []
    reply: Reply[int] = Reply()
    reply.then(lambda: calls.append("before"))
    assert calls == []
    reply.answer(1)
    reply.answer(2)
    reply.then(lambda: calls.append("after"))
    assert calls == ["before", "after"]


def test_a_call_is_made_when_the_answer_is_an_error() -> None:
    calls: list[str] = []
    reply: Reply[int] = Reply()
    reply.then(lambda: calls.append("failed"))
    reply.fail(QueueFullError())
    assert calls == ["failed"]


def test_calls_are_made_in_the_order_in_which_they_came() -> None:
    calls: list[int] = []
    reply: Reply[int] = Reply()
    for number in range(3):
        reply.then(partial(calls.append, number))
    reply.answer(1)
    reply.then(partial(calls.append, 3))
    assert calls == [0, 1, 2, 3]


def test_nobody_hears_of_an_answer_before_the_calls_that_were_there_first() -> None:
    reply: Reply[int] = Reply()
    called, go_on = threading.Event(), threading.Event()
    order: list[str] = []

    def first() -> None:
        called.set()
        assert go_on.wait(10)
        order.append(f"first, of {reply.outcome()}")

    reply.then(first)
    giver = threading.Thread(target=reply.answer, args=[1])
    giver.start()
    assert called.wait(10)
    with pytest.raises(AnswerTimeoutError):
        reply.wait(0)
    other = threading.Thread(target=reply.then, args=[partial(order.append, "second")])
    other.start()
    go_on.set()
    assert reply.wait(10) == 1
    giver.join()
    other.join()
    assert order == ["first, of 1", "second"]


def test_a_call_that_races_with_the_answer_is_made_exactly_once() -> None:
    calls: list[int] = []
    for number in range(300):
        reply: Reply[int] = Reply()
        barrier = threading.Barrier(2)

        def give(reply: Reply[int] = reply, barrier: threading.Barrier = barrier) -> None:
            barrier.wait()
            reply.answer(0)

        giver = threading.Thread(target=give)
        giver.start()
        barrier.wait()
        reply.then(lambda number=number: calls.append(number))  # type: ignore[misc]
        giver.join()
    assert calls == list(range(300))


def test_of_two_answers_at_once_one_counts_and_the_other_harms_nobody() -> None:
    for _ in range(300):
        reply: Reply[int] = Reply()
        barrier = threading.Barrier(2)
        failures: list[BaseException] = []

        def give(
            reply: Reply[int] = reply,
            barrier: threading.Barrier = barrier,
            failures: list[BaseException] = failures,
        ) -> None:
            barrier.wait()
            try:
                reply.fail(QueueFullError())
            except RuntimeError as error:
                failures.append(error)

        giver = threading.Thread(target=give)
        giver.start()
        barrier.wait()
        reply.answer(1)
        giver.join()
        with suppress(QueueFullError):
            assert reply.wait(0) == 1
        assert failures == []
