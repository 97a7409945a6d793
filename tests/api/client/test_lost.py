"""Answers that get lost between a real server and the clients: a publish takes effect once."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import httpx
import psutil
import pytest

from task_queue.client import (
    AsyncClient,
    Client,
    NewTask,
    OutcomeUnknownError,
    Patience,
    UnavailableError,
)
from tests.api.client.both import CLIENTS, client_of
from tests.endpoint import Answer, Endpoint, Peer, Received, answers, in_turn, says, says_no_more
from tests.harness import DEADLINE_SECONDS, ServerProcess, eventually, free_port

pytestmark = pytest.mark.system

PATIENT = Patience(deadline_seconds=DEADLINE_SECONDS, random=lambda: 0.0)


def forwards(server: ServerProcess, then: Callable[[httpx.Response, Peer], None]) -> Answer:
    """Hands a request on to the server; does with its answer what `then` does."""

    def answer(received: Received, peer: Peer) -> None:
        headers = {
            name: text
            for name, text in received.headers.items()
            if name in {"content-type", "idempotency-key", "prefer"}
        }
        then(
            server.client.request(
                received.method, received.target, content=received.body, headers=headers
            ),
            peer,
        )

    return answer


def loses(_: httpx.Response, peer: Peer) -> None:
    """The answer is lost, and the connection breaks."""
    peer.reset()


def loses_half(response: httpx.Response, peer: Peer) -> None:
    """The connection ends in the middle of the answer."""
    head = f"HTTP/1.1 {response.status_code} X\r\nContent-Length: {len(response.content)}\r\n\r\n"
    peer.send(head.encode() + response.content[:5])


def says_away(_: httpx.Response, peer: Peer) -> None:
    """A proxy says that it had no answer."""
    peer.send(b"HTTP/1.1 504 Gateway Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


def hands_back(response: httpx.Response, peer: Peer) -> None:
    """The answer comes as it is."""
    head = f"HTTP/1.1 {response.status_code} X\r\nContent-Length: {len(response.content)}\r\n"
    peer.send(f"{head}Connection: close\r\n\r\n".encode() + response.content)


Through = Callable[..., Client]


@pytest.fixture(params=CLIENTS)
def through(request: pytest.FixtureRequest) -> Iterator[Through]:
    """Makes either client of an endpoint, with no pause between its attempts."""
    with ExitStack() as stack:

        def made(
            endpoint: Endpoint, patience: Patience = PATIENT, key: str | None = None
        ) -> Client:
            arguments = (endpoint.url("/queue" if key else ""), key)
            return stack.enter_context(client_of(request.param, *arguments, patience=patience))

        yield made


@pytest.mark.parametrize("accident", [loses, loses_half, says_away])
def test_a_publish_whose_answer_is_lost_takes_effect_once(
    server: ServerProcess, through: Through, accident: Callable[[httpx.Response, Peer], None]
) -> None:
    before = server.client.get("/queues/tasks").json()["counts"]
    lost, kept = forwards(server, accident), forwards(server, hands_back)
    turns = in_turn(lost, lost, kept)
    with Endpoint(turns) as endpoint:
        published = through(endpoint).publish("sum", {"numbers": [1]})
        assert len(endpoint.requests) == 3
        keys = {received.headers["idempotency-key"] for received in endpoint.requests}
    assert len(keys) == 1
    done = server.wait_for_status(published.id, "completed")
    assert done["result"] == {"output": 1}
    after = server.client.get("/queues/tasks").json()["counts"]
    assert sum(after.values()) == sum(before.values()) + 1


def test_a_batch_whose_answer_is_lost_takes_effect_once(
    server: ServerProcess, through: Through
) -> None:
    turns = in_turn(forwards(server, loses), forwards(server, hands_back))
    with Endpoint(turns) as endpoint:
        batch = through(endpoint).publish_batch([NewTask("sum", None, {"key": "lost"})] * 3)
    listed = [task["id"] for task in server.all_tasks() if task["key"] == "lost"]
    assert set(batch.ids) <= set(listed)
    assert len(listed) % 3 == 0


def test_a_change_whose_answer_is_lost_is_not_made_again(
    server: ServerProcess, through: Through
) -> None:
    task_id = server.client.post("/tasks", json={"action": "sum", "delay_seconds": 99}).json()["id"]
    with Endpoint(forwards(server, loses)) as endpoint:
        with pytest.raises(OutcomeUnknownError, match="whether the request took effect"):
            through(endpoint).cancel(task_id)
        assert len(endpoint.requests) == 1
    assert server.task(task_id)["status"] == "cancelled"


def test_a_publish_that_finds_nobody_is_known_not_to_have_happened(through: Through) -> None:
    with Endpoint() as endpoint:
        client = through(endpoint, Patience(deadline_seconds=0.5))
    with pytest.raises(UnavailableError, match="no answer from http://127"):
        client.publish("sum")
    with pytest.raises(UnavailableError) as caught:
        client.publish("sum")
    assert type(caught.value) is UnavailableError


def test_a_server_that_says_nothing_is_given_up_in_time(through: Through) -> None:
    with Endpoint(says_no_more()) as endpoint:
        client = through(endpoint, Patience(deadline_seconds=0.5, answer_seconds=0.2))
        with pytest.raises(OutcomeUnknownError, match="in time") as caught:
            client.publish("sum", idempotency_key="order-17")
    assert caught.value.idempotency_key == "order-17"


@pytest.mark.parametrize("answer", [says(b"SSH-2.0\r\n"), answers(200, b"<html>")])
def test_what_is_no_task_queue_is_an_error_of_the_client(through: Through, answer: Answer) -> None:
    with Endpoint(answer) as endpoint:
        client = through(endpoint, Patience(deadline_seconds=0.2))
        with pytest.raises(Exception, match=r"no answer|not what a task queue answers") as caught:
            client.queues()
    assert type(caught.value).__module__.startswith("task_queue.")


def test_a_redirect_is_not_followed_with_the_key(through: Through) -> None:
    with Endpoint() as other, Endpoint(answers(302, Location=other.url("/tasks"))) as endpoint:
        with pytest.raises(Exception, match="answered 302"):
            through(endpoint).queues()
        assert other.requests == []


def test_a_request_is_below_the_url_and_has_the_key(through: Through) -> None:
    with Endpoint(answers(200, b'{"status": "alive"}')) as endpoint:
        assert through(endpoint, key="tq_a").request("GET", "/healthz") == {"status": "alive"}
        (received,) = endpoint.requests
    assert (received.target, received.headers["authorization"]) == ("/queue/healthz", "Bearer tq_a")


def test_a_restart_of_the_server_is_waited_out(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    port = free_port()
    server = ServerProcess(tmp_path_factory.mktemp("server"), f"http.port={port}")
    try:
        server.start()
        with Client(f"http://127.0.0.1:{port}") as client:
            handle = client.task("sum", {"numbers": [1]}, delay_seconds=1)
            assert server.terminate() == 0
            server.spawn()
            assert handle.result(DEADLINE_SECONDS) == {"output": 1}
    finally:
        server.close()


def test_a_publish_that_is_cancelled_leaves_nothing_open() -> None:
    process = psutil.Process()

    def ports() -> list[int]:
        return [each.raddr.port for each in process.net_connections("tcp") if each.raddr]

    async def cancelled(endpoint: Endpoint) -> None:
        async with AsyncClient(endpoint.url("")) as client:
            publishes = [asyncio.ensure_future(client.publish("sum")) for _ in range(3)]
            await asyncio.to_thread(eventually, lambda: len(endpoint.requests) == 3, "all are sent")
            assert endpoint.port in ports()
            for each in publishes:
                each.cancel()
            ended = await asyncio.gather(*publishes, return_exceptions=True)
            assert all(isinstance(each, asyncio.CancelledError) for each in ended)
            assert endpoint.port not in ports()
            assert len(asyncio.all_tasks()) == 1

    with Endpoint(says_no_more()) as endpoint:
        asyncio.run(cancelled(endpoint))
