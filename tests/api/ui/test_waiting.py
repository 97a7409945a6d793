"""Why tasks of a queue wait, and that nothing is said where none does."""

from typing import Any

import pytest

from task_queue.api.ui.waiting import NOTICED_SECONDS, tasks_wait, why_tasks_wait

ACTIONS = [{"name": "resize", "kind": "external"}, {"name": "mail", "kind": "python"}]


def queue(
    waited: float | None = 60.0, *, paused: bool = False, **settings: float
) -> dict[str, Any]:
    return {
        "name": "tasks",
        "paused": paused,
        "oldest_ready_seconds": waited,
        "settings": {"rate_limit": 0.0, "concurrency_per_key": 0, **settings},
    }


def task(action: str, key: str | None = None) -> dict[str, Any]:
    return {"payload": {"action": action}, "key": key}


def running(*actions: str, queue: str = "tasks") -> list[dict[str, str]]:
    return [{"action": action, "queue": queue} for action in actions]


def nodes(*busy: str, consumers: int = 2, status: str = "alive") -> dict[str, Any]:
    node = {"status": status, "queues": {"tasks": consumers}, "running": running(*busy)}
    return {"nodes": [node], "workers": []}


def words(
    found: dict[str, Any], oldest: list[dict[str, Any]], seen: dict[str, Any]
) -> list[tuple[str, str | None]]:
    return [(each.words, each.path) for each in why_tasks_wait(found, oldest, ACTIONS, seen)]


@pytest.mark.parametrize(
    ("found", "wait"),
    [
        (queue(), True),
        (queue(None), False),
        (queue(NOTICED_SECONDS), False),
        (queue(paused=True), False),  # which the page says by itself
    ],
)
def test_a_word_is_said_where_tasks_wait_for_more_than_a_pause(
    found: dict[str, Any], *, wait: bool
) -> None:
    assert tasks_wait(found) is wait


def test_an_external_action_waits_for_a_worker_and_not_for_consumers() -> None:
    seen = nodes("mail", "mail")
    text = "Tasks of the external action resize wait for a worker over HTTP that leases them."
    oldest = [task("resize"), task("resize")]
    assert words(queue(rate_limit=1.0), oldest, seen) == [
        (f"{text} None has one now.", "/ui/nodes")
    ]
    seen["workers"] = [{"running": running("resize")}]
    assert words(queue(), oldest, seen) == [
        (f"{text} Those there are have other ones.", "/ui/nodes")
    ]


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        (nodes("mail"), []),
        (
            nodes("mail", "mail"),
            ["All 2 consumers are busy: more of them (concurrency) or another node would help."],
        ),
        (
            nodes("mail", consumers=1),
            ["The one consumer is busy: more of them (concurrency) or another node would help."],
        ),
        (nodes(status="silent"), ["No node that is alive has consumers of this queue."]),
    ],
)
def test_other_tasks_wait_for_consumers(seen: dict[str, Any], said: list[str]) -> None:
    assert [text for text, _ in words(queue(), [task("mail")], seen)] == said


def test_what_runs_on_other_queues_keeps_no_consumer_of_this_one_busy() -> None:
    seen = nodes()
    seen["nodes"][0]["running"] = running("mail", "mail", queue="other")
    assert words(queue(), [task("mail")], seen) == []


def test_limits_are_named_where_they_can_hold_something_up() -> None:
    limited = queue(rate_limit=0.1, concurrency_per_key=1)
    rate = ("At most 0.1 tasks per second start (rate_limit).", None)
    by_key = ("At most 1 with the same key run at a time (concurrency_per_key).", None)
    assert words(limited, [task("mail")], nodes()) == [rate]
    assert words(limited, [task("mail", key="ada")], nodes()) == [rate, by_key]
