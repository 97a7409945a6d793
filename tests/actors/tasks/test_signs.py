"""What whoever is on call is told, and that nobody is told of what is as it should be."""

import pytest

from task_queue.actors.tasks.figures import Figures
from task_queue.actors.tasks.nodes import SILENT_SECONDS, Node
from task_queue.actors.tasks.signs import LATE_SECONDS, MANY_DEAD, MAX_NAMED, Signs, in_words
from task_queue.actors.tasks.states import Status
from tests.fakes import NOW

LONG_AGO = NOW - LATE_SECONDS - 120


def node(seconds: float = 0.0, **queues: int) -> Node:
    seen_at = NOW - seconds
    return Node(
        name="host:7", version="1", started_at=0.0, seen_at=seen_at, draining=False, queues=queues
    )


@pytest.mark.parametrize(
    ("signs", "text"),
    [
        (
            Signs(counts={"tasks": {Status.QUEUED: 2}}, paused={"tasks"}),
            (
                "the queue tasks is paused and 2 tasks wait on it:"
                " POST /queues/tasks/resume lets them go on"
            ),
        ),
        (
            Signs(counts={"old": {Status.SCHEDULED: 1, Status.DEAD: 9}}),
            (
                "1 task waits on the queue old, which no node has: add it to the settings again, or"
                " cancel them: POST /tasks/cancel?queue=old"
            ),
        ),
        (
            Signs(nodes=[node(SILENT_SECONDS + 15)]),
            (
                "the node host:7 has said nothing for 45 s: it was killed, or does not reach the"
                " database; others take over what it ran, see that it is started again"
            ),
        ),
        (
            Signs(ready={"tasks": LONG_AGO}),
            (
                "ready tasks of the queue tasks have been waiting for 12 min: GET /nodes shows what"
                " its consumers do; more of them (concurrency), another node or a higher rate_limit"
                " would help"
            ),
        ),
        (
            Signs(external={("tasks", "resize"): NOW - 10_800}),
            (
                "tasks of the external action resize on the queue tasks have been waiting for 3 h:"
                " start a worker that leases them, or more of them"
            ),
        ),
        (
            Signs(last_hour={"tasks": Figures(completed=33, dead=MANY_DEAD + 1)}),
            (
                "11 new dead letters of the queue tasks within an hour, 25% of what ended:"
                " GET /dead-letters/groups?queue=tasks shows of what they died"
            ),
        ),
    ],
    ids=["paused", "no node has it", "silent", "late", "not leased", "dying"],
)
def test_each_trouble_is_one_sentence_that_says_what_to_do(signs: Signs, text: str) -> None:
    assert in_words(signs, NOW, ["tasks"]) == [text]


@pytest.mark.parametrize(
    "signs",
    [
        Signs(counts={"tasks": {Status.SCHEDULED: 2}}, paused={"tasks"}),
        Signs(counts={"old": {Status.COMPLETED: 9, Status.DEAD: 9, Status.CANCELLED: 9}}),
        Signs(counts={"mail": {Status.QUEUED: 9}}, nodes=[node(mail=2)]),
        Signs(nodes=[node(SILENT_SECONDS)]),
        Signs(ready={"tasks": NOW - LATE_SECONDS}),
        Signs(ready={"tasks": LONG_AGO}, paused={"tasks"}),
        Signs(external={("tasks", "resize"): LONG_AGO}, paused={"tasks"}),
        Signs(last_hour={"tasks": Figures(dead=MANY_DEAD)}),
        Signs(last_hour={"tasks": Figures(dead=MANY_DEAD + 1, completed=2_000)}),
    ],
)
def test_what_is_as_it_should_be_is_not_mentioned(signs: Signs) -> None:
    assert in_words(signs, NOW, ["tasks"]) == []


def test_a_paused_queue_that_no_node_has_cannot_be_resumed() -> None:
    signs = Signs(counts={"old": {Status.QUEUED: 9}}, paused={"old"})
    (text,) = in_words(signs, NOW, ["tasks"])
    assert "which no node has" in text


def test_a_queue_that_only_a_silent_node_had_is_left_alone() -> None:
    signs = Signs(counts={"mail": {Status.QUEUED: 9}}, nodes=[node(SILENT_SECONDS + 1, mail=2)])
    assert len(in_words(signs, NOW, ["tasks"])) == 2


def test_of_very_many_of_a_kind_the_first_are_named() -> None:
    queues = [f"old-{number:02}" for number in range(MAX_NAMED + 5)]
    signs = Signs(counts={name: {Status.QUEUED: 1} for name in queues})
    *named, rest = in_words(signs, NOW, ["tasks"])
    assert [text.split()[6].rstrip(",") for text in named] == queues[:MAX_NAMED]
    assert rest == "… and 5 more like the last one"
