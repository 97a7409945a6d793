"""What resources find behind the edge is what there is at that moment."""

from pathlib import Path

import pytest

from task_queue.actors.errors import ActorUnavailableError, NotFoundError
from task_queue.actors.messages.queue import GetQueueState, Publish
from task_queue.actors.runtime.address import Address
from task_queue.actors.system import ActorSystem
from task_queue.actors.tasks.new import plain_task
from task_queue.api.auth.caller import EVERYBODY
from task_queue.api.edge import Edge
from task_queue.config.layers import load
from tests.fakes import NOW


def edge(directory: Path) -> Edge:
    overrides = [f"database.url=sqlite:///{directory}/tasks.db", "queues.mail.driver=memory"]
    settings = load(overrides=overrides, environ={}).settings
    return Edge(ActorSystem(settings, on_too_many_restarts=lambda: None), 1.0)  # never started


def test_a_queue_is_found_with_where_to_publish_to_it(tmp_path: Path) -> None:
    found = edge(tmp_path).queue("mail")
    assert found is not None
    assert (found[0].name, found[0].durable, found[1].name) == ("mail", False, "queue-mail")


def test_a_task_that_names_no_queue_goes_to_the_default_one(tmp_path: Path) -> None:
    found = edge(tmp_path).queue(None)
    assert found is not None
    assert found[0].name == "tasks"


def test_a_queue_that_is_not_known_or_not_up_yet_is_none(tmp_path: Path) -> None:
    asked = edge(tmp_path)
    assert asked.queue("") is None
    asked.system.queues.addresses = {
        "tasks": Address("queue-tasks")
    }  # as while a reload adds another
    assert asked.queue("mail") is None
    assert list(asked.queues) == ["tasks"]


def test_a_publish_to_a_queue_that_a_reload_is_adding_or_removing_may_be_repeated(
    tmp_path: Path,
) -> None:
    asked = edge(tmp_path)
    info = asked.queue_info("mail")
    assert info is not None
    asked.system.queues.addresses = {}
    task = plain_task("id", info, "sum", "{}", NOW)
    with pytest.raises(ActorUnavailableError):
        asked.publish(Publish((task,), NOW + 1)).wait(0)


def test_what_a_reload_removes_is_not_found_any_more(tmp_path: Path) -> None:
    asked = edge(tmp_path)
    assert list(asked.catalog(EVERYBODY).queues) == ["tasks", "mail"]
    asked.system.queues.info = {"tasks": asked.system.queues.info["tasks"]}
    assert list(asked.catalog(EVERYBODY).queues) == ["tasks"]
    assert asked.queue("mail") is None
    assert asked.queue_info("mail") is None


def test_a_queue_that_a_reload_has_removed_is_not_found(tmp_path: Path) -> None:
    asked = edge(tmp_path)
    with pytest.raises(NotFoundError):
        asked.ask_queue("gone", GetQueueState())
    with pytest.raises(NotFoundError):
        asked.queue_settings("gone")
