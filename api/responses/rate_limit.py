"""What a queue's limits leave, as `RateLimit` and `RateLimit-Policy` headers state it.

As in draft-ietf-httpapi-ratelimit-headers-08 to -11. A policy has the name of its limit, `length`
or `bytes`. It has no window, since room comes back as tasks are done and not at a certain time; so
the time of a reset, `t`, is given only where a client is told when to come again.
"""

import base64
from collections.abc import Mapping

from task_queue.actors.tasks.limits import QueueLimits, Room
from task_queue.api.responses.answer import Headers


def left(limits: Mapping[str, QueueLimits], room: Mapping[str, Room]) -> Headers:
    """Return what the queues have left after a publish; no headers if none has a limit.

    Args:
        limits: Of each queue, by name.
        room: What each queue with limits has left, by name.
    """
    policies: list[str] = []
    rests: list[str] = []
    for queue, rest in room.items():
        # With several queues, each is a partition.
        partition = f";pk=:{base64.b64encode(queue.encode()).decode()}:" if len(room) > 1 else ""
        for limit, quota, units in (
            ("length", limits[queue].max_length, rest.tasks),
            ("bytes", limits[queue].max_bytes, rest.bytes),
        ):
            if units is not None:
                policies.append(_policy(limit, quota) + partition)
                rests.append(f'"{limit}";r={units}{partition}')
    return _headers(policies, rests) if policies else []


def exhausted(limit: str, quota: int, retry_after_seconds: int) -> Headers:
    """Return the headers of a publish for which a limit leaves no room.

    Args:
        limit: Which: `length` or `bytes`.
        quota: What it allows.
        retry_after_seconds: When to come again.
    """
    return _headers([_policy(limit, quota)], [f'"{limit}";r=0;t={retry_after_seconds}'])


def of_requests(
    burst: int, window_seconds: int, left: int, retry_after_seconds: int | None = None
) -> Headers:
    """Return the headers of every answer to a key whose requests are counted.

    Args:
        burst: How many may come at once after a pause.
        window_seconds: How long the pause has to be.
        left: How many more may come at once.
        retry_after_seconds: When to come again; None: at any time.
    """
    reset = "" if retry_after_seconds is None else f";t={retry_after_seconds}"
    return _headers([f'"requests";q={burst};w={window_seconds}'], [f'"requests";r={left}{reset}'])


def _policy(limit: str, quota: int) -> str:
    unit = ';qu="content-bytes"' if limit == "bytes" else ""
    return f'"{limit}";q={quota}{unit}'


def _headers(policies: list[str], rests: list[str]) -> Headers:
    return [("RateLimit-Policy", ", ".join(policies)), ("RateLimit", ", ".join(rests))]
