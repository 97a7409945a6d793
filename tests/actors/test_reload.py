"""How queues come, change and go: pure, with actors that only keep what they are told."""

from collections.abc import Iterator
from typing import Any

import pytest

from task_queue.actors.errors import ReloadError
from task_queue.actors.messages.base import Message
from task_queue.actors.messages.queue import Drain, Reconfigure
from task_queue.actors.messages.supervisor import Retire
from task_queue.actors.reload import RunningQueue, RunningQueues, compare, merge
from task_queue.actors.runtime.address import Address
from task_queue.actors.runtime.child import Add, ChildSpec
from task_queue.config.layers import load
from task_queue.config.settings import QueueSettings, Settings


class Role:
    """Stands in for a Pykka reference: it keeps what it is told, and says that all is done."""

    def __init__(self, address: Address) -> None:
        self.messages: list[Message] = []
        address.bind(self)  # type: ignore[arg-type]

    def tell(self, message: Any) -> None:  # noqa: ANN401 - any message
        self.messages.append(message)
        if isinstance(message, Add | Reconfigure):
            message.reply_to.answer(None)

    def is_alive(self) -> bool:
        return True


def never(_life: object) -> Any:  # noqa: ANN401 - nothing
    raise AssertionError


def specs(queue: RunningQueue) -> Iterator[ChildSpec]:
    for address in (queue.address, *queue.consumers.values()):
        yield ChildSpec(address, never)


def settings(*overrides: str) -> Settings:
    return load(overrides=overrides, environ={}).settings


def a_queue(**members: Any) -> QueueSettings:  # noqa: ANN401 - any setting
    return settings().queues["tasks"].model_copy(update=members)


class Running:
    """Two queues, `mail` in memory, and the supervisor that is asked for what changes."""

    def __init__(self) -> None:
        address = Address("supervisor")
        self.supervisor = Role(address)
        self.settings = {"tasks": a_queue(concurrency=2), "mail": a_queue(driver="memory")}
        self.queues = RunningQueues(self.settings, supervisor=address, specs=specs)
        self.tasks = Role(self.queues.addresses["tasks"])

    def started(self) -> list[str]:
        adds = [each for each in self.supervisor.messages if isinstance(each, Add)]
        return [spec.name for add in adds for spec in add.specs]


@pytest.fixture
def running() -> Running:
    return Running()


def test_a_reload_is_told_by_what_differs() -> None:
    former = settings("queues.tasks.prefetch=1", "queues.old.prefetch=1", "queues.same.prefetch=1")
    later = settings(
        "queues.tasks.prefetch=2", "queues.new.prefetch=1", "queues.same.prefetch=1", "http.port=1"
    )
    reloaded = compare(former, later)
    assert (reloaded.added, reloaded.removed) == (("new",), ("old",))
    assert (reloaded.changed, reloaded.ignored) == (("tasks",), ("http",))
    merged = merge(former, later)
    assert (merged.queues, merged.http) == (later.queues, former.http)


def test_a_new_queue_takes_publishes_once_it_and_its_consumers_are_started(
    running: Running,
) -> None:
    running.queues.add("new", a_queue(concurrency=2))
    assert running.started() == ["queue-new", "consumer-new-1", "consumer-new-2"]
    assert running.queues.addresses["new"].name == "queue-new"
    assert running.queues.info["new"].name == "new"


def test_a_queue_that_changes_keeps_its_consumers_and_starts_only_further_ones(
    running: Running,
) -> None:
    running.queues.change("tasks", a_queue(concurrency=3, rate_limit=5.0, prefetch=7))
    running.queues.change("tasks", a_queue(concurrency=1, prefetch=7))
    first, second = running.tasks.messages
    assert isinstance(first, Reconfigure)
    assert isinstance(second, Reconfigure)
    assert (first.prefetch, second.prefetch) == (0, 7)
    (kept,) = second.consumers.items()
    assert kept in first.consumers.items()
    assert running.started() == ["consumer-tasks-3"]
    assert running.queues.info["tasks"].limits.rate_limit == 0


def test_a_removed_queue_takes_nothing_more_and_goes_once_it_has_drained(running: Running) -> None:
    running.queues.remove("tasks")
    assert [*running.queues.addresses] == [*running.queues.info] == ["mail"]
    assert {each.name for each in running.queues.all_addresses()} == {"queue-mail", "queue-tasks"}
    with pytest.raises(ReloadError, match="try again later"):
        running.queues.check(running.settings)
    (drain,) = running.tasks.messages
    assert isinstance(drain, Drain)
    assert running.supervisor.messages == []
    drain.reply_to.answer(())
    names = ("queue-tasks", "consumer-tasks-1", "consumer-tasks-2")
    assert running.supervisor.messages == [Retire(names)]
    assert [each.name for each in running.queues.all_addresses()] == ["queue-mail"]
    running.queues.check(running.settings)


def test_what_would_lose_tasks_is_refused(running: Running) -> None:
    tasks = running.settings["tasks"]
    with pytest.raises(ReloadError, match="keeps its tasks in memory"):
        running.queues.check({"tasks": tasks})
    with pytest.raises(ReloadError, match="driver cannot be changed"):
        running.queues.check({"tasks": tasks, "mail": a_queue(driver="database")})
