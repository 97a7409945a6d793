"""The work of the CPU benchmark: an action in a module that takes no time to import."""

import time
from typing import Any

_STEPS = 1_000


def spin(data: dict[str, Any]) -> dict[str, int]:
    """Count until this thread has used `data.seconds` of a core.

    Its own time: a wait for a core or for the interpreter lock is no work, and what other threads
    of the process do meanwhile is not this task's.
    """
    end = time.thread_time() + data["seconds"]
    number = 0
    while time.thread_time() < end:
        for _ in range(_STEPS):
            number += 1
    return {"output": number}
