"""Actions for the tests' servers, configured as `name = "tests.actions:function"`."""

import logging
import os
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pykka

from task_queue.actors.actions.context import Context
from task_queue.actors.errors import Reject, RetryLater

Data = dict[str, Any]


def wait_for_fifo(data: Data) -> dict[str, str]:
    """Run until the test writes to the named pipe `data.fifo`: no sleep, no guess."""
    return {"output": Path(data["fifo"]).read_text()}


def fail(data: Data) -> None:
    """Fail, in a way that trying again may help."""
    raise ValueError(data.get("message", "on purpose"))


def fail_until(data: Data) -> dict[str, int]:
    """Fail until it was run `data.times` times; the file `data.file` counts."""
    with Path(data["file"]).open("a+") as file:
        file.write("x")
        file.seek(0)
        runs = len(file.read())
    if runs < data["times"]:
        message = f"run {runs}"
        raise ValueError(message)
    return {"output": runs}


def reject(data: Data) -> None:
    """Fail, in a way that trying again cannot help."""
    raise Reject(data.get("message", "never"))


def retry_later(data: Data) -> dict[str, str]:
    """Ask for another run at once, until the file `data.file` is there."""
    if not Path(data["file"]).exists():
        raise RetryLater(0.0, "not yet")
    return {"output": "at last"}


def report_and_wait(data: Data, context: Context) -> dict[str, str]:
    """Report `data.fraction`, then wait for the named pipe `data.fifo`."""
    context.progress(data["fraction"], data.get("message"))
    return wait_for_fifo(data)


def run_until_cancelled(_data: Data, context: Context) -> None:
    """Run until somebody asks it to stop, and then stop."""
    pause = threading.Event()
    while True:
        context.stop_if_cancelled()
        pause.wait(0.01)


def exit_process(_data: Data) -> None:
    """Take the whole process down, as a segmentation fault would."""
    os._exit(17)


def raise_system_exit(_data: Data) -> None:
    """Raise what is no `Exception`."""
    raise SystemExit(3)


def kill_actor(data: Data) -> dict[str, str]:
    """Crash the first actor of the class `data.actor`, from inside.

    With `data.once`, a file's path, only in the first run: what the run came to may be lost with
    the actor, and then it is run again. With `data.fifo`, when the test writes to it.
    """
    if "once" in data:
        try:
            Path(data["once"]).touch(exist_ok=False)
        except FileExistsError:
            return {"output": "told before"}
    if "fifo" in data:
        wait_for_fifo(data)
    pykka.ActorRegistry.get_by_class_name(data["actor"])[0].tell(object())
    return {"output": "told"}


def record(data: Data) -> dict[str, str]:
    """Append `data.line` to the file `data.file`: what ran, and how often."""
    with Path(data["file"]).open("a") as file:
        file.write(f"{data['line']}\n")
    return {"output": data["line"]}


def not_json(_data: Data) -> object:
    """Return what JSON cannot say."""
    return {"parts": [b"1", 2]}


@dataclass
class Size:
    """What `resize` takes several of."""

    width: int
    height: int = 1


@dataclass
class Sizes:
    """What `resize` takes."""

    sizes: list[Size]


def resize(data: Sizes) -> dict[str, int]:
    """Add up the areas."""
    return {"area": sum(size.width * size.height for size in data.sizes)}


def trace(_data: Data, context: Context) -> dict[str, str | None]:
    """Return the trace that the task was published in."""
    return {"traceparent": context.traceparent, "tracestate": context.tracestate}


def talk(_data: Data, task: Context) -> None:
    """Print and log in turns, and what is below the level `WARNING`, too."""
    print("one")
    task.log.warning("resized", width=640)
    task.log.info("not kept")
    print("two", file=sys.stderr)
    logging.getLogger("mine").error("broken")
    logging.getLogger("mine").info("not kept")
    print("three")
