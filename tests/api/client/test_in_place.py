"""Clients in a test: the queue of `run_inline` answers them."""

import asyncio
import subprocess
import sys
import threading

import httpx
import pytest

from task_queue.actors.errors import Reject
from task_queue.client import (
    AsyncClient,
    Client,
    NewTask,
    NotFoundError,
    Patience,
    RefusedError,
    UnavailableError,
    task,
)
from task_queue.testing import run_inline


@task
def double(number: int) -> int:
    return number * 2


@task
def refuse() -> None:
    raise Reject("never")


def test_a_function_is_published_without_a_server() -> None:
    with run_inline(double=double) as queue:
        assert double.publish(3).result(1) == 6
        assert double.options(priority=3).publish(number=4).wait(1).status == "completed"
        assert [published.data for published in queue.published] == [{"number": 3}, {"number": 4}]
        assert queue.published[1].members == {"priority": 3}
        with pytest.raises(RefusedError, match=r"data\.number"):
            double.publish("three")  # type: ignore[arg-type]


def test_whatever_a_client_was_made_for_the_queue_answers_it() -> None:
    before = Client("https://queue.example/below", "tq_a")
    with before, run_inline() as queue:
        assert before.task("sum", {"numbers": [1, 2]}).result(1) == {"output": 3}
        with Client() as inside:
            batch = inside.publish_batch([NewTask("sum", {"numbers": [each]}) for each in (1, 2)])
            listed = [found.id for found in inside.tasks(order="oldest", action="sum")]
        assert listed[1:] == list(batch.ids)
        assert len(queue.published) == 3


def test_an_async_client_is_answered_too() -> None:
    async def published() -> object:
        async with AsyncClient() as client:
            handle = await double.on(client).publish(5)
            return await handle.result(1)

    with run_inline(double=double):
        assert asyncio.run(published()) == 10


def test_a_thread_that_the_test_starts_is_answered_too() -> None:
    results = []
    with run_inline(double=double):
        thread = threading.Thread(target=lambda: results.append(double.publish(4).result(1)))
        thread.start()
        thread.join()
    assert results == [8]


def test_what_the_action_raises_reaches_the_test() -> None:
    with run_inline(refuse=refuse), pytest.raises(Reject, match="never"):
        refuse.publish()


def test_what_needs_a_server_says_so() -> None:
    with run_inline(), Client() as client:
        with pytest.raises(NotFoundError, match="run_inline does not answer POST /queues/tasks"):
            client.pause("tasks")
        with pytest.raises(NotFoundError, match="task not found"):
            client.get("1")


def test_of_two_queues_the_inner_one_answers_and_then_nobody() -> None:
    impatient = Client("http://127.0.0.1:1", patience=Patience(deadline_seconds=0))
    with impatient as client:
        with run_inline() as outer:
            with run_inline() as inner:
                client.publish("sum")
            client.publish("sum")
            assert (len(outer.published), len(inner.published)) == (1, 1)
        with pytest.raises(UnavailableError):
            client.publish("sum")


def test_a_client_with_a_transport_of_its_own_is_left_alone() -> None:
    own = httpx.MockTransport(lambda _: httpx.Response(202, json={"id": "1", "status": "queued"}))
    with run_inline() as queue, Client(transport=own) as client:
        assert client.publish("sum").id == "1"
        assert queue.published == []


def test_an_import_of_the_client_takes_nothing_heavy_along() -> None:
    code = (
        "import sys, task_queue.client;"
        " print([name for name in ('asyncio', 'httpx', 'orjson', 'pydantic', 'pykka', 'structlog',"
        " 'sqlalchemy', 'falcon', 'task_queue.actors') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
