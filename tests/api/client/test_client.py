"""Both clients against a real server."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

import pytest

from task_queue.client import (
    Client,
    ConflictError,
    NewTask,
    NotFinishedError,
    NotFoundError,
    RefusedError,
    Settled,
    TaskFailedError,
    TaskHandle,
)
from tests.api.client.both import CLIENTS, client_of
from tests.harness import Gate, ServerProcess, put_database

pytestmark = pytest.mark.system

SETTINGS = (
    "actions.wait=tests.actions:wait_for_fifo",
    "actions.reject=tests.actions:reject",
    "actions.resize.external=true",
    "queues.held.concurrency=1",
    "builtin.fallback=true",
)


@pytest.fixture(scope="module")
def server(serve_all: Callable[..., ServerProcess]) -> ServerProcess:
    return serve_all(*SETTINGS).start()


@pytest.fixture(params=CLIENTS)
def client(request: pytest.FixtureRequest, server: ServerProcess) -> Iterator[Client]:
    with client_of(request.param, str(server.client.base_url)) as client:
        yield client
        client.resume("held")
        client.purge("held")


def test_a_task_is_published_and_its_result_waited_for(client: Client) -> None:
    handle = client.task("sum", {"numbers": [1, 2]}, priority=3)
    assert handle.result(30) == {"output": 3}
    task = handle.wait(30)
    assert task.is_final
    assert (task.id, task.action, task.data, task.priority) == (
        handle.id,
        "sum",
        {"numbers": [1, 2]},
        3,
    )
    assert [attempt.outcome for attempt in task.attempts] == ["completed"]
    assert task.document["payload"]["action"] == "sum"
    assert handle.refresh() == task
    handle.delete()
    with pytest.raises(NotFoundError, match="there is no task"):
        handle.refresh()


def test_a_task_that_is_dead_has_no_result(client: Client) -> None:
    handle = client.task("reject", {"message": "no such picture"})
    with pytest.raises(TaskFailedError, match=r"\(reject\) is dead: no such picture") as caught:
        handle.result(30)
    assert caught.value.task.status == "dead"
    assert handle.wait(30).error == "no such picture"
    assert handle.retry().status == "queued"
    assert handle.wait(30).status == "dead"


def test_a_task_that_is_cancelled_has_no_result(client: Client) -> None:
    handle = client.task("sum", delay_seconds=3600)
    with pytest.raises(NotFinishedError, match=r"is scheduled after 0\.1 seconds"):
        handle.wait(0.1)
    assert handle.cancel().status == "cancelled"
    with pytest.raises(TaskFailedError, match="is cancelled"):
        handle.result(1)
    with pytest.raises(ConflictError, match="only scheduled, queued and running ones"):
        handle.cancel()


def test_one_that_runs_is_asked_to_stop(client: Client, tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    handle = client.task("wait", {"fifo": str(gate.path)}, queue="held")
    with gate.held() as file:
        assert handle.cancel().cancel_requested
        file.write("done")
    assert handle.wait(30).is_final


def test_what_is_waited_for_is_seen_when_it_ends(client: Client, tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    handle = client.task("wait", {"fifo": str(gate.path)})
    gate.open("through")
    assert handle.result(30) == {"output": "through"}


def test_several_tasks_are_published_all_or_none(client: Client) -> None:
    new = [NewTask("sum", {"numbers": [number]}, {"priority": 5}) for number in range(3)]
    batch = client.publish_batch(new)
    assert [client.result(each, 30)["output"] for each in batch.ids] == [0, 1, 2]
    with pytest.raises(RefusedError, match=r"tasks\[1\]\.priority"):
        client.publish_batch([new[0], NewTask("sum", None, {"priority": 1000})])


def test_the_same_idempotency_key_is_the_same_task(client: Client) -> None:
    key = f"order-{client.publish('sum').id}"
    first = client.publish("sum", idempotency_key=key)
    assert client.publish("sum", idempotency_key=key) == first
    with pytest.raises(RefusedError) as caught:
        client.publish("uppercase", {"text": "a"}, idempotency_key=key)
    assert caught.value.problem == "key-reused"
    batch = client.publish_batch([NewTask("sum")], idempotency_key=f"b-{key}")
    assert client.publish_batch([NewTask("sum")], idempotency_key=f"b-{key}") == batch


def test_a_unique_key_that_is_taken_leads_to_the_task_that_has_it(client: Client) -> None:
    first = client.task("sum", unique_key="order-17", delay_seconds=3600)
    second = client.task("sum", unique_key="order-17", delay_seconds=3600)
    assert (first.duplicate, second.duplicate, second.id) == (False, True, first.id)
    first.cancel()


def test_tasks_come_page_by_page(client: Client) -> None:
    ids = client.publish_batch([NewTask("sum", None, {"queue": "held"})] * 5).ids
    found = [task.id for task in client.tasks(queue="held", action="sum", page_size=2)]
    assert found[:5] == list(reversed(ids))
    oldest = client.tasks(queue="held", status=["queued", "completed"], order="oldest", page_size=1)
    assert len(list(islice(oldest, 2))) == 2
    with pytest.raises(RefusedError, match="status must be one of"):
        list(client.tasks(status="lost"))  # type: ignore[arg-type]


def test_a_queue_is_paused_resumed_and_purged(client: Client) -> None:
    client.pause("held")
    queue = client.queue("held")
    assert (queue.name, queue.paused, queue.driver) == ("held", True, "database")
    client.publish_batch([NewTask("sum", None, {"queue": "held"})] * 3)
    assert client.queue("held").counts["queued"] == 3
    assert client.purge("held").count == 3
    client.resume("held")
    assert {queue.name: queue.paused for queue in client.queues()} == {
        "tasks": False,
        "held": False,
    }
    with pytest.raises(NotFoundError):
        client.pause("fax")


def test_many_tasks_are_changed_at_once(client: Client) -> None:
    client.pause("held")
    ids = client.publish_batch([NewTask("sum", None, {"queue": "held"})] * 5).ids
    preview = client.cancel_tasks(queue="held", status="queued", preview=True)
    assert (preview.count, preview.more) == (5, False)
    assert client.cancel_tasks(ids=ids[:2]).count == 2
    seen: list[int] = []
    changed = client.cancel_tasks(queue="held", progress=lambda so_far: seen.append(so_far.count))
    assert (changed.count, seen[-1]) == (3, 3)
    assert client.retry_tasks(ids=ids[:1], queue="held").count == 1
    deleted = client.delete_tasks(ids=ids)
    assert (deleted.count, deleted.skipped) == (4, 1)
    with pytest.raises(RefusedError):
        client.cancel_tasks()


def test_dead_tasks_are_listed_and_put_back(client: Client) -> None:
    handle = client.task("reject", {"message": "unheard of"})
    handle.wait(30)
    assert [task.id for task in client.dead_letters(error_contains="unheard of")] == [handle.id]
    assert client.redrive(ids=[handle.id]).count == 1
    assert handle.wait(30).status == "dead"
    assert client.redrive(action="reject", error_contains="unheard of", limit=10).count == 1
    handle.wait(30)
    handle.delete()


def test_a_schedule_is_put_shown_and_deleted(client: Client) -> None:
    put = client.put_schedule("tidy", NewTask("sum", {"numbers": [1]}), every="90m", missed="once")
    assert client.schedule("tidy") == put
    assert (put.every, put.cron, put.missed, put.task["action"]) == ("90m", "", "once", "sum")
    assert [each.name for each in client.schedules()] == ["tidy"]
    client.delete_schedule("tidy")
    assert client.schedules() == ()
    with pytest.raises(RefusedError, match="cron"):
        client.put_schedule("tidy", NewTask("sum"), cron="often")


def test_a_worker_leases_tasks_and_settles_them(client: Client) -> None:
    handles = [client.task("resize", {"width": width}) for width in range(5)]
    leases = client.lease(max=5, worker="w", lease_seconds=60, wait_seconds=5)
    by_id = {lease.task.id: lease for lease in leases}
    first, second, third, fourth, fifth = (by_id[handle.id] for handle in handles)
    assert (first.task.action, first.task.data, first.task.attempt) == ("resize", {"width": 0}, 1)
    assert first.lease not in repr(first)
    extended = client.extend(first.lease, 90, fraction=0.5, message="half")
    assert extended.expires_at is not None
    assert not extended.cancel_requested
    progress = handles[0].refresh().progress
    assert progress is not None
    assert (progress.fraction, progress.message) == (0.5, "half")
    assert client.ack(first.lease, {"height": 3}).status == "completed"
    assert handles[0].result(1) == {"height": 3}
    assert client.nack(second.lease, "no such picture", permanent=True).status == "dead"
    assert client.release(third.lease).status in {"queued", "scheduled"}
    with pytest.raises(ConflictError) as caught:
        client.ack(third.lease)
    assert caught.value.problem == "lease-lost"
    done, lost = client.settle(
        [
            {"lease": fourth.lease, "ack": {"result": 1}},
            {"lease": third.lease, "ack": {"result": 1}},
        ]
    )
    assert isinstance(done, Settled)
    assert done.status == "completed"
    assert isinstance(lost, ConflictError)
    again = client.nack(fifth.lease, "busy", retry_after_seconds=3600)
    assert (again.status, again.run_at is None) == ("scheduled", False)
    for handle in handles[2:]:
        with suppress(ConflictError):
            handle.cancel()
    assert client.lease(actions=["resize"], queue="held") == ()


def test_the_service_says_what_it_can_do_and_how_it_is(client: Client) -> None:
    assert client.action("sum").kind == "builtin"
    assert {"sum", "resize", "wait"} <= {action.name for action in client.actions()}
    assert client.readiness().is_ready
    figures = client.figures("hour", queue="tasks")
    assert (figures.step_seconds, len(figures.queues["tasks"]["published"])) == (60, 60)
    (node,) = client.nodes().nodes
    assert (node.status, node.queues["held"]) == ("alive", 1)
    client.pause("held")
    entry = next(iter(client.audit(what="pause_queue", page_size=1)))
    assert (entry.target, entry.status) == ("/queues/held/pause", 200)
    assert client.request("GET", "/tasks", query={"limit": 1})["count"] == 1
    assert client.request("POST", "/queues/held/resume", repeatable=True)["paused"] is False


def test_a_handle_is_made_of_an_id_that_was_kept(server: ServerProcess) -> None:
    with Client(str(server.client.base_url)) as client:
        kept = client.publish("sum", {"numbers": [2, 3]}).id
        handle = TaskHandle(client, kept)
        assert handle.result(30) == {"output": 5}
        assert repr(handle) == f"TaskHandle({kept!r})"


def test_a_server_is_found_at_its_unix_socket(tmp_path: Path, migrated_file: Path) -> None:
    put_database(migrated_file, tmp_path)
    server = ServerProcess(tmp_path, "http.socket=t.sock")
    try:
        server.start()
        for kind in CLIENTS:
            with client_of(kind, f"unix:{tmp_path}/t.sock") as client:
                assert client.task("sum", {"numbers": [1]}).result(30) == {"output": 1}
    finally:
        server.close()
