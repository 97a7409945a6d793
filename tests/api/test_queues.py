"""What the API tells of queues."""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import falcon
import falcon.testing
import pytest

from task_queue.actors.errors import ActorUnavailableError, TaskQueueError
from task_queue.actors.messages.base import Request
from task_queue.actors.messages.lessor import GetLent
from task_queue.actors.messages.queue import GetQueueState, QueueState
from task_queue.actors.messages.reader import CountTasks, ListPaused, OldestReady
from task_queue.actors.tasks.limits import QueueLimits
from task_queue.actors.tasks.states import Status
from task_queue.api.edge import Edge
from task_queue.api.queues import QueuesResource
from task_queue.api.responses import errors
from task_queue.config.layers import load
from tests.api.answers import complaints, problem
from tests.api.servers import DATABASES, server_on
from tests.harness import Gate, ServerProcess, eventually

if TYPE_CHECKING:
    from task_queue.actors.system import ActorSystem

NOW = 1_000.0
MEMBERS = ["name", "driver", "paused", "counts", "oldest_ready_seconds", "rates", "settings"]
STATES = ["scheduled", "queued", "running", "completed", "dead", "cancelled"]
NOTHING = dict.fromkeys(STATES, 0)
SETTINGS = (
    "actions.wait=tests.actions:wait_for_fifo",
    "builtin.fallback=true",
    "queues.mail.concurrency=1",
    "queues.mail.max_length=100",
    "queues.quick.driver=memory",
)


@pytest.fixture(scope="module", params=DATABASES)
def queues(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerProcess]:
    """A server on each kind of database with three queues."""
    with server_on(request, tmp_path_factory, *SETTINGS) as server:
        yield server


def queue(server: ServerProcess, name: str = "mail") -> dict[str, Any]:
    answer = server.client.get(f"/queues/{name}")
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


@pytest.mark.system
def test_queues_are_shown_in_the_order_of_the_settings(queues: ServerProcess) -> None:
    listed = queues.client.get("/queues").json()["queues"]
    assert [each["name"] for each in listed] == ["tasks", "mail", "quick"]
    assert [each["driver"] for each in listed] == ["database", "database", "memory"]
    for each in listed:
        assert list(each) == MEMBERS
        assert list(each["counts"]) == STATES
        assert list(each["rates"]) == ["published", "completed", "failed"]
        assert queue(queues, each["name"])["settings"] == each["settings"]


@pytest.mark.system
def test_a_queue_shows_all_its_settings(queues: ServerProcess) -> None:
    assert queue(queues)["settings"] == {
        "driver": "database",
        "concurrency": 1,
        "prefetch": 5,
        "max_attempts": 5,
        "lease_seconds": 30.0,
        "backoff_base_seconds": 1.0,
        "backoff_factor": 2.0,
        "backoff_cap_seconds": 3600.0,
        "max_length": 100,
        "max_bytes": 0,
        "rate_limit": 0.0,
        "concurrency_per_key": 0,
        "callback": "",
    }


@pytest.mark.system
@pytest.mark.parametrize("name", ["nope", "MAIL", "mail ", "%00", "%F0%9F%98%80", "q" * 5_000])
def test_a_queue_that_is_not_there_is_not_found(queues: ServerProcess, name: str) -> None:
    problem(queues.client.get(f"/queues/{name}"), 404, "queue not found")


@pytest.mark.system
def test_counts_follow_each_task_through_its_states(queues: ServerProcess, tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    assert queue(queues)["counts"] == NOTHING
    members: list[dict[str, Any]] = [
        {"action": "wait", "data": {"fifo": str(gate.path)}},
        {"action": "x", "delay_seconds": 1_000},
        {"action": "sum", "data": {"numbers": "none"}},
        {"action": "x"},
    ]
    ids = []
    for each in members:
        answer = queues.client.post("/tasks", json={"queue": "mail", **each})
        ids.append(answer.json()["id"])
    queues.wait_for_status(ids[0], "running")
    assert queue(queues)["counts"] == {**NOTHING, "scheduled": 1, "queued": 2, "running": 1}
    gate.open()
    queues.wait_for_status(ids[3], "completed")
    assert queue(queues)["counts"] == {**NOTHING, "scheduled": 1, "completed": 2, "dead": 1}
    queues.client.post(f"/tasks/{ids[1]}/cancel")
    queues.client.delete(f"/tasks/{ids[0]}")
    assert queue(queues)["counts"] == {**NOTHING, "completed": 1, "dead": 1, "cancelled": 1}
    assert queue(queues, "tasks")["counts"] == NOTHING
    assert complaints(queues) == []


@pytest.mark.system
def test_the_age_of_the_oldest_ready_task_is_shown(queues: ServerProcess) -> None:
    assert queue(queues, "tasks")["oldest_ready_seconds"] is None
    queues.client.post("/queues/tasks/pause")
    later = {"action": "x", "delay_seconds": 1_000}
    assert queues.client.post("/tasks", json=later).status_code == 202
    assert queue(queues, "tasks")["oldest_ready_seconds"] is None  # it is not ready
    queues.publish("x")
    first = queue(queues, "tasks")["oldest_ready_seconds"]
    assert 0 <= first < 30
    eventually(lambda: queue(queues, "tasks")["oldest_ready_seconds"] > first, "it gets older")
    queues.client.post("/queues/tasks/purge")
    queues.client.post("/queues/tasks/resume")
    assert queue(queues, "tasks")["oldest_ready_seconds"] is None


@pytest.mark.system
def test_rates_tell_of_the_last_minute(serve: Callable[..., ServerProcess]) -> None:
    server = serve("actions.fail=tests.actions:fail", "queues.tasks.max_attempts=1").start()
    assert queue(server, "tasks")["rates"] == {"published": 0.0, "completed": 0.0, "failed": 0.0}
    for _ in range(6):
        server.publish("sum")
    server.wait_for_status(server.publish("fail"), "dead")

    def counted() -> bool:
        """Whether the seven publishes, six acks and one nack are all in."""
        rates = queue(server, "tasks")["rates"]
        expected = {"published": 7, "completed": 6, "failed": 1}
        each = rates["published"] / 7
        return bool(each) and rates == pytest.approx(
            {kind: number * each for kind, number in expected.items()}, abs=0.002
        )

    eventually(counted, "all are counted")


# --- against stand-ins ----------------------------------------------------------------------


class Reader:
    """A reader that notes what it is asked."""

    def __init__(self) -> None:
        self.asked: list[type] = []

    def ask(self, request: Request[Any], timeout: float) -> object:
        assert timeout == 1.0
        self.asked.append(type(request))
        match request:
            case CountTasks():
                return {"b": dict.fromkeys(Status, 1), "gone": dict.fromkeys(Status, 5)}
            case ListPaused():
                return {"a", "gone"}
            case OldestReady():
                return NOW + 5 if request.queue == "a" else NOW - 1.23456
        raise AssertionError(request)


class Queue:
    """A queue that tells of itself, or is down."""

    def __init__(self, answer: QueueState | TaskQueueError) -> None:
        self._answer = answer

    def ask(self, request: Request[Any], timeout: float) -> QueueState:
        assert (type(request), timeout) == (GetQueueState, 1.0)
        if isinstance(self._answer, TaskQueueError):
            raise self._answer
        return self._answer


class Lessor:
    """A lessor from which no worker has anything."""

    def ask(self, request: Request[Any], timeout: float) -> dict[str, Any]:
        assert (type(request), timeout) == (GetLent, 1.0)
        return {}


def client(reader: Reader, **states: QueueState | TaskQueueError) -> falcon.testing.TestClient:
    info = SimpleNamespace(durable=True, limits=QueueLimits())
    system = SimpleNamespace(
        reader=reader,
        lessor=Lessor(),
        queues=SimpleNamespace(
            addresses={name: Queue(each) for name, each in states.items()},
            info=dict.fromkeys(states, info),
        ),
        queue_settings=dict.fromkeys(states, load(environ={}).settings.queues["tasks"]),
    )
    app = falcon.App()
    errors.install(app)
    resource = QueuesResource(Edge(cast("ActorSystem", system), 1.0, lambda: NOW))
    app.add_route("/queues", resource)
    return falcon.testing.TestClient(app)


IDLE = QueueState(idle=1, running=0, prefetched=0)


def test_however_many_queues_there_are_tasks_are_counted_once() -> None:
    reader = Reader()
    answer = client(reader, a=IDLE, b=IDLE, c=IDLE).simulate_get("/queues")
    assert answer.status_code == 200
    assert sorted(kind.__name__ for kind in reader.asked) == [
        "CountTasks",
        "ListPaused",
        "OldestReady",
        "OldestReady",
        "OldestReady",
    ]


def test_blocked_tasks_count_as_queued_and_ages_are_never_negative() -> None:
    first, second = client(Reader(), a=IDLE, b=IDLE).simulate_get("/queues").json["queues"]
    assert (first["counts"], first["paused"], first["oldest_ready_seconds"]) == (NOTHING, True, 0)
    assert second["counts"] == {**dict.fromkeys(STATES, 1), "queued": 2}
    assert (second["paused"], second["oldest_ready_seconds"]) == (False, 1.235)


def test_while_a_queue_is_down_there_is_no_answer() -> None:
    down = ActorUnavailableError("the queue-b is not running")
    answer = client(Reader(), a=IDLE, b=down).simulate_get("/queues")
    assert (answer.status_code, answer.json["error"]) == (503, "database unavailable")
    assert answer.headers["Retry-After"] == "1"
