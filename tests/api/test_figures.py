"""`GET /queues/figures`: what happened, on either database, for queues in memory too."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.api.answers import problem
from tests.api.servers import DATABASES, server_on
from tests.harness import ServerProcess, eventually

pytestmark = pytest.mark.system

SETTINGS = (
    "builtin.fallback=false",
    "actions.resize.external=true",
    "queues.quick.driver=memory",
    "queues.figures.concurrency=1",
)
NAMES = ["published", "started", "completed", "failed", "dead", "wait_seconds", "run_seconds"]


@pytest.fixture(scope="module", params=DATABASES)
def busy(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerProcess]:
    """A server on each kind of database on which something has happened."""
    with server_on(request, tmp_path_factory, *SETTINGS) as server:
        for queue in ("tasks", "tasks", "quick"):
            body = {"action": "sum", "data": {"numbers": [1]}, "queue": queue}
            assert server.client.post("/tasks", json=body).status_code == 202
        server.publish("sum", numbers="none")  # dead at once
        for verdict in ("ack", "nack"):
            server.publish("resize")
            (leased,) = server.client.post("/queues/tasks/lease", json={}).json()["leases"]
            told = {"ack": {}, "nack": {"error": "broken"}}[verdict]
            path = f"/leases/{leased['lease']}/{verdict}"
            assert server.client.post(path, json=told).status_code == 200
        yield server


def shown(server: ServerProcess, **query: str) -> dict[str, Any]:
    answer = server.client.get("/queues/figures", params=query)
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


def sums(server: ServerProcess, queue: str, **query: str) -> list[int]:
    """The five numbers of a queue, over the whole time."""
    figures = shown(server, **query)["queues"][queue]
    return [sum(figures[name]) for name in NAMES[:5]]


def seen(look: Callable[[], list[int]], expected: list[int]) -> None:
    eventually(lambda: look() == expected, f"{expected}")


@pytest.mark.parametrize("span", ["hour", "day"])
def test_what_happened_on_a_queue_is_there_a_moment_later(busy: ServerProcess, span: str) -> None:
    seen(lambda: sums(busy, "tasks", span=span), [5, 5, 3, 2, 1])
    figures = shown(busy, span=span)["queues"]["tasks"]
    assert sum(figures["run_seconds"]) > 0
    assert sum(figures["wait_seconds"]) >= 0


def test_a_queue_in_memory_counts_too(busy: ServerProcess) -> None:
    seen(lambda: sums(busy, "quick"), [1, 1, 1, 0, 0])


@pytest.mark.parametrize(("span", "steps", "seconds"), [("hour", 60, 60), ("day", 144, 600)])
def test_the_last_step_is_the_present_one(
    busy: ServerProcess, span: str, steps: int, seconds: int
) -> None:
    document = shown(busy, span=span)
    assert [document["span"], document["step_seconds"]] == [span, seconds]
    assert list(document["queues"]) == ["tasks", "quick", "figures"]
    for figures in document["queues"].values():
        assert list(figures) == NAMES
        assert {len(each) for each in figures.values()} == {steps}
    assert document["begin"] % seconds == 0
    newest = busy.client.get("/tasks", params={"limit": 1}).json()["tasks"][0]["created_at"]
    assert document["begin"] <= newest < document["begin"] + steps * seconds


def test_one_queue_alone_is_shown_and_one_that_there_is_not_is_refused(
    busy: ServerProcess,
) -> None:
    assert list(shown(busy, queue="quick")["queues"]) == ["quick"]
    answer = busy.client.get("/queues/figures", params={"queue": "mail"})
    detail = problem(answer, 400, "unknown queue")
    assert detail == "queue 'mail' is not known; known: tasks, quick, figures"


def test_a_queue_of_that_name_works_and_is_in_the_list_of_all(busy: ServerProcess) -> None:
    assert "span" in shown(busy)
    assert busy.client.post("/queues/figures/pause").json() == {"name": "figures", "paused": True}
    assert busy.client.post("/queues/figures/resume").status_code == 200
    listed = busy.client.get("/queues").json()["queues"]
    assert "figures" in [each["name"] for each in listed]


def test_figures_outlive_a_restart(serve: Callable[..., ServerProcess]) -> None:
    server = serve("queues.quick.driver=memory").start()
    for queue in ("tasks", "quick"):
        body = {"action": "sum", "queue": queue}
        assert server.client.post("/tasks", json=body).status_code == 202
    eventually(lambda: len(server.all_tasks()) == 2, "the one in memory has become a row")
    eventually(
        lambda: {each["status"] for each in server.all_tasks()} == {"completed"}, "both are done"
    )
    server.terminate()  # what is not written yet is written now
    server.start()
    for queue in ("tasks", "quick"):
        assert sums(server, queue) == [1, 1, 1, 0, 0]
