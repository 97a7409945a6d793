"""Alive is not ready: `/healthz` asks the process, `/readyz` whether work gets done."""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import falcon
import falcon.testing
import pytest

from task_queue.actors.errors import AnswerTimeoutError, QueryFailedError, StoreUnavailableError
from task_queue.actors.messages.queue import QueueState
from task_queue.actors.messages.reader import FindSigns, NextReady
from task_queue.actors.messages.supervisor import CountStuck
from task_queue.actors.messages.writer import DatabaseState
from task_queue.actors.tasks.limits import QueueLimits
from task_queue.actors.tasks.signs import Signs
from task_queue.actors.tasks.states import Status
from task_queue.api.auth.caller import EVERYBODY, Caller
from task_queue.api.auth.scopes import Scope
from task_queue.api.edge import Edge
from task_queue.api.health import IN_THE_LOG, STALLED_SECONDS, ReadinessResource
from tests.harness import Gate, ServerProcess, eventually

if TYPE_CHECKING:
    from task_queue.actors.system import ActorSystem

NOW = 1_000.0
UP = {"writer": True, "reader": True, "queue-tasks": True}
READY = {"status": "ready", "problems": [], "warnings": []}


class Answers:
    """An address whose actor gives this answer to everything, or what a function says."""

    def __init__(self, answer: object) -> None:
        self._answer = answer

    def ask(self, request: object, timeout: float) -> object:
        assert timeout == 1.0
        answer = self._answer
        while callable(answer):
            answer = answer(request)
        if isinstance(answer, Exception):
            raise answer
        return answer


class As:
    """Middleware in place of the gate: everybody is this caller."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def process_request(self, req: falcon.Request, _resp: falcon.Response) -> None:
        req.context.caller = self._caller


def state(idle: int = 1, *, paused: bool = False, unfed_seconds: float = 1e9) -> QueueState:
    return QueueState(
        idle=idle, running=0, prefetched=0, paused=paused, unfed_seconds=unfed_seconds
    )


def readiness(  # noqa: PLR0913 - all that it looks at
    children: object = UP,
    *,
    oldest: object = None,
    stuck: int = 0,
    limits: QueueLimits | None = None,
    states: Mapping[str, QueueState] | None = None,
    database: object = DatabaseState(None, ()),
    caller: Caller = EVERYBODY,
    signs: object = Signs(),
) -> tuple[int, dict[str, Any]]:
    states = states or {"tasks": state()}
    system = SimpleNamespace(
        is_draining=False,
        supervisor=Answers(lambda asked: stuck if isinstance(asked, CountStuck) else children),
        max_stuck_threads=2,
        queues=SimpleNamespace(
            addresses={name: Answers(each) for name, each in states.items()},
            info={name: SimpleNamespace(limits=limits or QueueLimits()) for name in states},
        ),
        reader=Answers(lambda asked: signs if isinstance(asked, FindSigns) else oldest),
        writer=Answers(database),
    )
    app = falcon.App(middleware=[As(caller)])
    app.add_route("/", ReadinessResource(Edge(cast("ActorSystem", system), 1.0, lambda: NOW)))
    answer = falcon.testing.TestClient(app).simulate_get("/")
    assert ("Retry-After" in answer.headers) == (answer.status_code == 503)
    return answer.status_code, answer.json


@pytest.mark.parametrize(("stuck", "status"), [(2, 200), (3, 503)])
def test_more_stuck_threads_than_may_be_are_a_problem(stuck: int, status: int) -> None:
    seen, document = readiness(stuck=stuck)
    assert seen == status
    assert document["problems"] == (
        ["3 stuck threads in actions beyond their deadline; 2 may be"] if stuck > 2 else []
    )


@pytest.mark.system
def test_a_server_is_alive_and_ready_as_soon_as_it_listens(server: ServerProcess) -> None:
    alive, ready = server.client.get("/healthz"), server.client.get("/readyz")
    assert (alive.status_code, alive.json()) == (200, {"status": "alive"})
    assert (ready.status_code, ready.json()) == (200, READY)
    assert ready.headers["Content-Type"] == "application/json"


@pytest.mark.system
def test_a_server_whose_consumers_are_all_busy_is_ready(
    serve: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    server = serve("queues.tasks.concurrency=1", "actions.wait=tests.actions:wait_for_fifo").start()
    gate = Gate(tmp_path)
    task_id = server.publish("wait", fifo=str(gate.path))
    server.wait_for_status(task_id, "running")
    waiting = server.publish("sum")
    assert server.client.get("/readyz").json() == READY
    gate.open()
    server.wait_for_status(waiting, "completed")


@pytest.mark.system
def test_a_server_gets_ready_again_after_an_actor_died(
    serve: Callable[..., ServerProcess],
) -> None:
    server = serve("actions.kill=tests.actions:kill_actor").start()
    server.publish("kill", actor="DatabaseReader")
    server.wait_for_log("actor restarted", child="reader")
    assert eventually(lambda: server.client.get("/readyz").json() == READY, "it is ready")


def test_all_is_well() -> None:
    assert readiness() == (200, READY)


def test_it_is_not_ready_when_the_last_commit_did_not_go_through() -> None:
    status, document = readiness(database=DatabaseState("it is a standby", ()))
    assert status == 503
    assert document["problems"] == ["the last commit failed: it is a standby"]


def test_it_is_not_ready_while_the_writer_does_not_answer() -> None:
    status, document = readiness(database=AnswerTimeoutError("no answer within 1 s"))
    assert (status, document["problems"]) == (503, ["no answer within 1 s"])


def test_a_database_that_cannot_be_read_is_named_beside_its_own_words() -> None:
    status, document = readiness(oldest=StoreUnavailableError("lock timeout"))
    assert (status, document["problems"]) == (503, ["the database cannot be read: lock timeout"])


def test_what_needs_attention_is_named_and_keeps_it_ready() -> None:
    warnings = ("something holds back the vacuum",)
    status, document = readiness(database=DatabaseState(None, warnings))
    assert (status, document) == (200, {**READY, "warnings": [*warnings]})


def test_signs_of_trouble_are_told_and_keep_it_ready() -> None:
    signs = Signs(counts={"tasks": {Status.QUEUED: 2}}, paused={"tasks"})
    status, document = readiness(signs=signs)
    assert (status, len(document["warnings"])) == (200, 1)
    assert document["warnings"][0].startswith("the queue tasks is paused and 2 tasks wait on it")


def test_that_signs_cannot_be_looked_up_is_told() -> None:
    status, document = readiness(signs=QueryFailedError("no such table"))
    assert (status, document["problems"]) == (200, [])
    assert document["warnings"] == ["what else needs attention cannot be looked up: no such table"]


def test_a_dead_actor_is_named() -> None:
    status, document = readiness({**UP, "queue-tasks": False})
    assert (status, document["status"]) == (503, "not ready")
    assert document["problems"] == ["the queue-tasks is down"]


def test_an_actor_that_does_not_answer_is_a_problem() -> None:
    status, document = readiness(oldest=AnswerTimeoutError("no answer within 1 s"))
    assert (status, document["problems"]) == (503, ["no answer within 1 s"])


def test_work_that_lies_beside_an_idle_consumer_is_a_problem() -> None:
    status, document = readiness(oldest=NOW - STALLED_SECONDS - 5)
    assert status == 503
    assert document["problems"] == [
        "ready work of the queue tasks has been waiting for 15 s beside idle consumers"
    ]


@pytest.mark.parametrize(("idle", "age"), [(0, 3_600.0), (1, STALLED_SECONDS)])
def test_work_that_waits_for_busy_consumers_or_not_long_is_none(idle: int, age: float) -> None:
    assert readiness(oldest=NOW - age, states={"tasks": state(idle)}) == (200, READY)


def test_a_backlog_is_no_problem_while_claims_bring_something() -> None:
    busy = state(idle=1, unfed_seconds=0.01)
    assert readiness(oldest=NOW - 3_600, states={"tasks": busy}) == (200, READY)


def test_every_queue_is_looked_at() -> None:
    def oldest(request: object) -> float | None:
        assert isinstance(request, NextReady)
        return {"tasks": None, "mail": NOW - 60, "busy": NOW - 70, "late": NOW - 80}[request.queue]

    states = {"tasks": state(), "mail": state(), "busy": state(0), "late": state(2)}
    status, document = readiness(oldest=oldest, states=states)
    assert status == 503
    assert [problem.split()[5] for problem in document["problems"]] == ["mail", "late"]


def test_work_that_waits_for_the_end_of_a_pause_is_no_problem() -> None:
    assert readiness(oldest=NOW - 3_600, states={"tasks": state(paused=True)}) == (200, READY)


def test_work_that_waits_for_its_turn_under_a_rate_limit_is_no_problem() -> None:
    limits = QueueLimits(rate_limit=0.001)
    assert readiness(oldest=NOW - 3_600, limits=limits) == (200, READY)
    other = QueueLimits(concurrency_per_key=1)
    assert readiness(oldest=NOW - 3_600, limits=other)[0] == 503


@pytest.mark.system
def test_a_server_with_a_paused_and_a_rate_limited_queue_is_ready(
    serve: Callable[..., ServerProcess],
) -> None:
    server = serve("queues.slow.rate_limit=0.001").start()
    server.client.post("/queues/tasks/pause")
    tasks = [{"action": "x", "queue": name} for name in ("tasks", "slow", "slow", "slow")]
    assert server.client.post("/tasks/batch", json={"tasks": tasks}).status_code == 202
    ready = server.client.get("/readyz")
    assert (ready.status_code, ready.json()["problems"]) == (200, [])


@pytest.mark.parametrize("queues", [frozenset(), frozenset({"tasks"})])
@pytest.mark.parametrize(
    "what",
    [
        {"children": {**UP, "queue-mail": False}},
        {"oldest": NOW - STALLED_SECONDS - 1},
        {"database": DatabaseState("disk full", ("soon full",))},
    ],
)
def test_whoever_does_not_see_all_queues_is_not_told_what_is_wrong(
    what: dict[str, Any], queues: frozenset[str]
) -> None:
    caller = Caller("probe", None, frozenset({Scope.READ}), queues)
    status, document = readiness(**what, caller=caller)
    assert (status, document["problems"], document["warnings"]) == (503, [IN_THE_LOG], [])
    assert readiness(caller=caller) == (200, READY)
    assert readiness(database=DatabaseState(None, ("soon full",)), caller=caller) == (200, READY)
