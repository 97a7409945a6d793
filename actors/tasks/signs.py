"""Signs of trouble: what whoever is on call has to know, in a sentence each. Pure."""

from collections.abc import Collection, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from task_queue.actors.tasks.figures import Figures
from task_queue.actors.tasks.nodes import Node
from task_queue.actors.tasks.states import Status
from task_queue.actors.tasks.text import counted

LATE_SECONDS = 600.0
"""How long ready tasks may wait for busy consumers, or for workers over HTTP."""
MANY_DEAD = 10
"""How many tasks of a queue may die in an hour."""
DEAD_SHARE = 0.01
"""Which part of those that end may die, where that is more."""
MAX_NAMED = 10
"""How many signs of a kind are named at most."""

WAITING = (Status.QUEUED, Status.SCHEDULED, Status.BLOCKED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signs:
    """What trouble can be seen in.

    Attributes:
        counts: How many tasks each queue has, by state.
        paused: The names of the queues that are paused.
        ready: Since when the task waits that a consumer is to claim next, Unix seconds, by queue.
        external: Since when the task waits that a worker over HTTP is to lease next, Unix seconds,
            by queue and action.
        nodes: All nodes.
        last_hour: What happened on each queue.
    """

    counts: Mapping[str, Mapping[Status, int]] = field(default_factory=dict)
    paused: Collection[str] = ()
    ready: Mapping[str, float] = field(default_factory=dict)
    external: Mapping[tuple[str, str], float] = field(default_factory=dict)
    nodes: Collection[Node] = ()
    last_hour: Mapping[str, Figures] = field(default_factory=dict)


def in_words(signs: Signs, now: float, queues: Collection[str]) -> list[str]:
    """Return a sentence for each trouble, which says what to do.

    Args:
        signs: What is seen.
        now: The present moment, Unix seconds.
        queues: The names of the queues of this node.
    """
    alive = [node for node in signs.nodes if node.status(now) != "silent"]
    served = {*queues, *(name for node in alive for name in node.queues)}
    kinds = (
        _paused(signs, served),
        _left_alone(signs, served),
        _silent(signs, now),
        _late(signs, now),
        _not_leased(signs, now),
        _dying(signs),
    )
    return [text for kind in kinds for text in _some(kind)]


def _paused(signs: Signs, served: AbstractSet[str]) -> Iterator[str]:
    for name in sorted(served & set(signs.paused)):
        if waiting := signs.counts.get(name, {}).get(Status.QUEUED, 0):
            yield (
                f"the queue {name} is paused and {_tasks_wait(waiting)} on it:"
                f" POST /queues/{name}/resume lets them go on"
            )


def _left_alone(signs: Signs, served: AbstractSet[str]) -> Iterator[str]:
    for name in sorted(signs.counts.keys() - served):
        if waiting := sum(signs.counts[name].get(status, 0) for status in WAITING):
            yield (
                f"{_tasks_wait(waiting)} on the queue {name}, which no node has: add it to the"
                f" settings again, or cancel them: POST /tasks/cancel?queue={name}"
            )


def _silent(signs: Signs, now: float) -> Iterator[str]:
    for node in signs.nodes:
        if node.status(now) == "silent":
            yield (
                f"the node {node.name} has said nothing for {_time(now - node.seen_at)}: it was"
                " killed, or does not reach the database; others take over what it ran, see that it"
                " is started again"
            )


def _late(signs: Signs, now: float) -> Iterator[str]:
    for name, since in sorted(signs.ready.items()):
        if now - since > LATE_SECONDS and name not in signs.paused:
            yield (
                f"ready tasks of the queue {name} have been waiting for {_time(now - since)}:"
                " GET /nodes shows what its consumers do; more of them"
                " (concurrency), another node or a higher rate_limit would help"
            )


def _not_leased(signs: Signs, now: float) -> Iterator[str]:
    for (queue, action), since in sorted(signs.external.items()):
        if now - since > LATE_SECONDS and queue not in signs.paused:
            yield (
                f"tasks of the external action {action} on the queue {queue} have been waiting for"
                f" {_time(now - since)}: start a worker that leases them, or more of them"
            )


def _dying(signs: Signs) -> Iterator[str]:
    for name, figures in sorted(signs.last_hour.items()):
        ended = figures.completed + figures.dead
        if figures.dead > max(MANY_DEAD, DEAD_SHARE * ended):
            yield (
                f"{counted(figures.dead, 'new dead letter')} of the queue {name} within an hour,"
                f" {figures.dead / ended:.0%} of what ended:"
                f" GET /dead-letters/groups?queue={name} shows of what they died"
            )


def _some(texts: Iterator[str]) -> list[str]:
    """Return the first ones, and how many more there are."""
    found = list(texts)
    if len(found) <= MAX_NAMED:
        return found
    return [*found[:MAX_NAMED], f"… and {len(found) - MAX_NAMED} more like the last one"]


def _tasks_wait(number: int) -> str:
    return f"{counted(number, 'task')} {'waits' if number == 1 else 'wait'}"


def _time(seconds: float) -> str:
    """Return a time as people say it, in its greatest unit."""
    if seconds < 120:  # noqa: PLR2004 - two minutes
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.0f} h"  # noqa: PLR2004
