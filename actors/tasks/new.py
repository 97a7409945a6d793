"""New tasks: how the members of a publish become a task. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from task_queue.actors.tasks.backoff import Backoff
from task_queue.actors.tasks.limits import NO_LIMITS, QueueLimits
from task_queue.actors.tasks.states import Status
from task_queue.actors.tasks.task import NOT_BEGUN, PLAIN, Course, Options, Task, rank

QUEUE = "tasks"
"""The queue that a publish goes to unless it names another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueInfo:
    """What has to be known of a queue to publish to it.

    Attributes:
        name: The queue's name.
        max_attempts: How many attempts a task has by default.
        backoff: How long a failed task waits by default.
        limits: The limits of the queue.
        durable: Whether its tasks are rows from the start.
        plain: The options of a task that asks for nothing: where to tell how it ended, if the queue
            has such an address.
    """

    name: str
    max_attempts: int
    backoff: Backoff
    limits: QueueLimits = NO_LIMITS
    durable: bool = True
    plain: Options = PLAIN


def plain_task(task_id: str, queue: QueueInfo, action: str, data: str, now: float) -> Task:
    """Return a plain task, to be run as soon as possible."""
    return Task(
        id=task_id,
        queue=queue.name,
        action=action,
        data=data,
        max_attempts=queue.max_attempts,
        run_at=now,
        created_at=int(now),
        rank=now,
        options=queue.plain,
    )


def task_of(  # noqa: PLR0913 - the parts of a task
    task_id: str,
    queue: QueueInfo,
    members: Mapping[str, Any],
    now: float,
    occurrence: str | None = None,
    *,
    external: bool = False,
) -> Task:
    """Return a task with everything its publisher asked for.

    Args:
        task_id: The task's id.
        queue: The queue that it goes to.
        members: The members of a publish, validated, and its trace; `data` is JSON as text.
        now: The present moment, Unix seconds.
        occurrence: The schedule and its occurrence, if it is one.
        external: Whether workers over HTTP do it.
    """
    named = members.get("run_at")
    run_at = max(now, named or now + (members.get("delay_seconds") or 0.0))
    priority, key = members.get("priority") or 0, members.get("key")
    options = Options(
        unique_key=members.get("unique_key"),
        key=key,
        expires_at=members.get("expires_at"),
        keep_result_seconds=members.get("keep_result_seconds"),
        backoff=_backoff(queue.backoff, members.get("backoff")),
        occurrence=occurrence,
        timeout_seconds=members.get("timeout_seconds"),
        # Empty: the task wants none, whatever its queue has.
        callback=members.get("callback", queue.plain.callback) or None,
        traceparent=members.get("traceparent"),
        tracestate=members.get("tracestate"),
        external=external,
    )
    ready = Status.BLOCKED if key and queue.limits.concurrency_per_key else Status.QUEUED
    return Task(
        id=task_id,
        queue=queue.name,
        action=members["action"],
        data=members["data"],
        max_attempts=members.get("max_attempts") or queue.max_attempts,
        run_at=run_at,
        created_at=int(now),
        rank=rank(now, priority),
        status=Status.SCHEDULED if run_at > now else ready,
        priority=priority,
        options=PLAIN if options == PLAIN else options,
        course=Course(counted_from=now) if run_at > now and not named else NOT_BEGUN,
    )


def _backoff(plain: Backoff, members: Mapping[str, float] | None) -> str | None:
    if members is None:
        return None
    base = members.get("base", plain.base_seconds)
    # Without a cap of its own a larger base raises the cap.
    cap = members.get("cap", max(base, plain.cap_seconds))
    return Backoff(base, members.get("factor", plain.factor), cap).text
