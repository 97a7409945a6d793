"""Why the tasks of a queue wait, in words, as its page says it within seconds. Pure."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from task_queue.api.ui.health import Trouble

LOOKED = 10
"""How many of the tasks that wait longest are looked at: what nobody does is among them."""
NOTICED_SECONDS = 3.0
"""How long a ready task may wait without a word."""


def tasks_wait(queue: Mapping[str, Any]) -> bool:
    """Return whether tasks wait for another reason than a pause.

    Args:
        queue: As `GET /queues/{name}` answers.
    """
    waited = queue["oldest_ready_seconds"]
    return not queue["paused"] and waited is not None and waited > NOTICED_SECONDS


def why_tasks_wait(
    queue: Mapping[str, Any],
    oldest: Collection[Mapping[str, Any]],
    actions: Collection[Mapping[str, Any]],
    nodes: Mapping[str, Any],
) -> list[Trouble]:
    """Return what holds tasks up, each with a link to where more can be seen.

    Args:
        queue: As `GET /queues/{name}` answers.
        oldest: The queued tasks that wait longest.
        actions: All of them, as `GET /actions` has them.
        nodes: As `GET /nodes` answers.
    """
    external = {action["name"] for action in actions if action["kind"] == "external"}
    waiting = {task["payload"]["action"] for task in oldest}
    found = [_for_workers(action, nodes["workers"]) for action in sorted(waiting & external)]
    if not waiting <= external or not waiting:
        found += _for_consumers(queue, nodes["nodes"])
        found += _for_limits(queue["settings"], oldest)
    return found


def _for_workers(action: str, workers: Collection[Mapping[str, Any]]) -> Trouble:
    busy = any(task["action"] == action for worker in workers for task in worker["running"])
    missing = "Those there are have other ones" if busy else "None has one now"
    return Trouble(
        f"Tasks of the external action {action} wait for a worker over HTTP that leases them."
        f" {missing}.",
        "/ui/nodes",
        "Nodes and workers",
    )


def _for_consumers(
    queue: Mapping[str, Any], nodes: Collection[Mapping[str, Any]]
) -> Iterator[Trouble]:
    name = queue["name"]
    alive = [node for node in nodes if node["status"] == "alive"]
    consumers = sum(node["queues"].get(name, 0) for node in alive)
    busy = sum(task["queue"] == name for node in alive for task in node["running"])
    if not consumers:
        yield Trouble("No node that is alive has consumers of this queue.", "/ui/nodes", "Nodes")
    elif busy >= consumers:
        whose = "The one consumer is" if consumers == 1 else f"All {consumers:,} consumers are"
        yield Trouble(
            f"{whose} busy: more of them (concurrency) or another node would help.",
            f"/ui/tasks?queue={name}&status=running",
            "What runs",
        )


def _for_limits(
    settings: Mapping[str, Any], oldest: Collection[Mapping[str, Any]]
) -> Iterator[Trouble]:
    if limit := settings["rate_limit"]:
        yield Trouble(f"At most {limit:g} tasks per second start (rate_limit).")
    if (limit := settings["concurrency_per_key"]) and any(task["key"] for task in oldest):
        yield Trouble(
            f"At most {limit:,} with the same key run at a time (concurrency_per_key).",
        )
