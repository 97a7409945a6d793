"""What the soak's Python actions do; each process for actions imports it, so it imports little."""

import asyncio
import os
import resource
import signal
import subprocess
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from task_queue.actors.actions.context import Context

HANGS_SECONDS = 4.0
"""How long `hang` takes: longer than its deadline and the grace after it."""
ENDS_SECONDS = 30.0
"""After how long even that ends which is to be ended by others."""
_MIB = 1_048_576


def quick(data: dict[str, Any]) -> dict[str, Any]:
    """Return the data."""
    return data


async def pause(data: dict[str, Any]) -> dict[str, Any]:
    """Return the data a little later."""
    await asyncio.sleep(0.05)
    return data


def fail(_data: dict[str, Any]) -> None:
    """Fail, in a way that trying again may help."""
    raise ValueError("on purpose")


def hang(_data: dict[str, Any]) -> None:
    """Come back late, deaf to whoever asks it to stop."""
    threading.Event().wait(HANGS_SECONDS)


def wait(_data: dict[str, Any]) -> None:
    """Wait to be ended from outside."""
    threading.Event().wait(ENDS_SECONDS)


def wait_for_cancel(_data: dict[str, Any], task: "Context") -> None:
    """Wait to be asked to stop."""
    pause = threading.Event()
    for _ in range(int(ENDS_SECONDS / 0.02)):
        task.stop_if_cancelled()
        pause.wait(0.02)


def leave(_data: dict[str, Any]) -> None:
    """End the process."""
    os._exit(3)


def crash(_data: dict[str, Any]) -> None:
    """End the process as a wrong pointer does, without a core file."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.kill(os.getpid(), signal.SIGSEGV)
    threading.Event().wait(ENDS_SECONDS)


def ignore_sigterm(data: dict[str, Any]) -> None:
    """Wait, and do not end when asked to."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    wait(data)


def leave_a_child(_data: dict[str, Any]) -> dict[str, int]:
    """Leave a process behind, in a group of its own."""
    child = subprocess.Popen(["sleep", f"{ENDS_SECONDS}"], start_new_session=True)
    return {"pid": child.pid}


def grow(data: dict[str, Any]) -> None:
    """Take more and more memory, 320 MiB in the end."""
    held = []
    for _ in range(40):
        held.append(b"x" * (8 * _MIB))
        threading.Event().wait(0.02)
    wait(data)
