"""Standard input, output and error, wherever they lead, and also where they were closed."""

import os
import sys
from typing import TextIO

import typer

from task_queue.actors.errors import TaskQueueError

_MODES = {"stdin": "r", "stdout": "w", "stderr": "w"}
_closed: set[str] = set()
"""The streams that were closed before the start."""


def make_usable() -> None:
    """Let nothing fail for want of a stream, or of a character that its encoding lacks.

    What was closed before the start leads nowhere from now on. Else a file or a connection would
    get its number, and what a program of an action writes to its standard error would go there.
    """
    for name, mode in _MODES.items():
        if getattr(sys, name) is None:
            _closed.add(name)
            nowhere = os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free
            os.set_inheritable(nowhere, True)  # noqa: FBT003
            stream = open(nowhere, mode, encoding="utf-8", closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)
    output: TextIO = sys.stdout
    if hasattr(output, "reconfigure"):
        output.reconfigure(errors="backslashreplace")  # as standard error has it


def check_is_read() -> None:
    """Accept a standard output that leads somewhere, for what can be shown only once.

    Raises:
        TaskQueueError: It was closed before the start.
    """
    if "stdout" in _closed:
        raise TaskQueueError("standard output is closed: nobody would see what is shown only once")


def say(text: str | bytes) -> None:
    """Write a line to standard output.

    Raises:
        TaskQueueError: It cannot be written.
    """
    try:
        sys.stdout.flush()  # what was printed comes first
        typer.echo(text)
    except BrokenPipeError:
        raise  # typer ends the command: whoever reads has seen enough
    except OSError as error:
        message = f"cannot write to standard output: {error.strerror}"
        raise TaskQueueError(message) from error
