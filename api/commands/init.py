"""`task-queue init`: settings and an action to begin with."""

import shlex
import shutil
import sys
from importlib import resources
from pathlib import Path

from task_queue.actors.errors import TaskQueueError
from task_queue.api.standard_streams import say

SETTINGS = "task-queue.toml"
JOBS = '''\
"""What tasks do: a function gets a task's data and returns its result."""


def greet(data):
    """Greets somebody."""
    return {"greeting": f"Hello, {data['name']}!"}
'''
TEST = '''\
"""Runs tasks as the service would, without a server: python -m pytest."""

from task_queue.testing import run_inline


def test_somebody_is_greeted():
    with run_inline("task-queue.toml") as queue:
        task = queue.publish("greet", {"name": "Ada"})
        assert task.result == {"greeting": "Hello, Ada!"}
'''


def init(directory: Path) -> None:
    """Write the files, none over another one, and say what to do next.

    Args:
        directory: Where to; it is made.

    Raises:
        TaskQueueError: One of the files is there already, or they cannot be written.
    """
    settings = resources.files("task_queue.config").joinpath("init.toml").read_text("utf-8")
    files = {SETTINGS: settings, "jobs.py": JOBS, "test_jobs.py": TEST}
    if there := [name for name in files if (directory / name).exists()]:
        message = f"{directory / there[0]} is there already, and is left alone: nothing was written"
        raise TaskQueueError(message)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            with (directory / name).open("x", encoding="utf-8") as file:
                file.write(text)
    except OSError as error:
        message = f"cannot write in the directory {directory}: {error.strerror}"
        raise TaskQueueError(message) from error
    enter = "" if directory.samefile(Path.cwd()) else f"  cd {shlex.quote(str(directory))}\n"
    say(
        f"made {', '.join(files)}. Next:\n\n"
        f"{enter}  {_program()} serve --config {SETTINGS} --reload\n\n"
        "and in another terminal:\n\n"
        '  curl --json \'{"action": "greet", "data": {"name": "you"}}\''
        " localhost:8080/tasks\n"
        "  curl localhost:8080/tasks\n\n"
        "A browser shows it all at http://localhost:8080/. Your actions are in jobs.py, and pytest"
        " runs their test."
    )


def _program() -> str:
    """Return how this program is called from any folder."""
    beside = Path(sys.executable).with_name("task-queue")
    found = shutil.which("task-queue")
    if found is not None and (not beside.exists() or Path(found).samefile(beside)):
        return "task-queue"
    if beside.exists():
        return shlex.quote(str(beside))
    return f"{shlex.quote(sys.executable)} -m task_queue"
