"""The rows of the nodes, and what runs."""

from dataclasses import replace

import pytest

from task_queue.actors.store import nodes
from task_queue.actors.store.session import Session
from task_queue.actors.tasks.nodes import FORGET_SECONDS, SILENT_SECONDS, Node
from task_queue.actors.tasks.states import Status
from tests.actors.store.calls import call, claim, put
from tests.fakes import NOW, a_task

NODE = Node(
    name="a:1", version="1.0", started_at=NOW, seen_at=NOW, draining=False, queues={"tasks": 2}
)
OTHER = replace(NODE, name="b:1", queues={})


def said(session: Session, *lives: Node, alone: bool = False) -> list[Node]:
    """What is known of the nodes after these have said that they live."""
    for node in lives:
        call(session, lambda c, node=node: nodes.say_alive(c, node, alone=alone))  # type: ignore[misc]
    return call(session, nodes.every)


def test_what_a_node_said_last_is_known(session: Session) -> None:
    later = replace(NODE, seen_at=NOW + 10, draining=True, queues={"tasks": 4, "mail": 1})
    assert said(session, NODE, OTHER, later) == [later, OTHER]


def test_a_node_that_ended_as_it_should_is_forgotten_at_once(session: Session) -> None:
    said(session, NODE, OTHER)
    call(session, lambda connection: nodes.forget(connection, NODE.name))
    assert said(session) == [OTHER]


def test_a_silent_node_is_forgotten_after_its_time(session: Session) -> None:
    at = replace(OTHER, seen_at=NOW + FORGET_SECONDS)
    assert said(session, NODE, at) == [NODE, at]
    at = replace(at, seen_at=at.seen_at + 1)
    assert said(session, at) == [at]


def test_a_silent_node_is_forgotten_once_another_was_started_on_its_host(session: Session) -> None:
    moment = NOW + SILENT_SECONDS + 1
    before = replace(NODE, name="a:2", started_at=NOW - 1, seen_at=moment)  # beside it
    elsewhere = replace(OTHER, started_at=NOW + 1, seen_at=moment)
    assert said(session, NODE, before, elsewhere) == [NODE, before, elsewhere]
    anew = replace(NODE, name="a:3", started_at=NOW + 1, seen_at=moment - 1)
    assert said(session, anew) == [NODE, before, anew, elsewhere]  # it is not silent yet
    anew = replace(anew, seen_at=moment)
    assert said(session, anew) == [before, anew, elsewhere]


def test_where_only_one_can_live_the_others_are_forgotten(session: Session) -> None:
    assert said(session, NODE, OTHER, alone=True) == [OTHER]


@pytest.mark.parametrize(
    ("seconds", "draining", "status"),
    [
        (0.0, False, "alive"),
        (SILENT_SECONDS, True, "draining"),
        (SILENT_SECONDS + 1, False, "silent"),
        (SILENT_SECONDS + 1, True, "silent"),
    ],
)
def test_a_node_that_says_nothing_is_silent(seconds: float, draining: bool, status: str) -> None:  # noqa: FBT001
    assert replace(NODE, draining=draining).status(NOW + seconds) == status


def test_what_runs_is_shown_with_who_has_it(session: Session) -> None:
    put(session, a_task(id="one"), a_task(id="two", queue="mail", attempt=2), a_task(id="rest"))
    claim(session, limit=1)
    claim(session, queue="mail", now=NOW + 1)
    put(session, a_task(id="done", status=Status.COMPLETED, processed_at=int(NOW)))
    shown = call(session, nodes.running)
    assert [(each.id, each.queue, each.attempt, each.started_at) for each in shown] == [
        ("two", "mail", 3, NOW + 1),
        ("one", "tasks", 1, NOW),
    ]
    assert {each.worker for each in shown} == {"worker"}
    assert [each.id for each in call(session, lambda c: nodes.running(c, {"mail"}))] == ["two"]
