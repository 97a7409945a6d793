import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from task_queue import actors
from task_queue.actors.actions.builtin import total
from task_queue.actors.actions.python.function import PythonFunction
from task_queue.actors.actions.python.thread import ThreadAction
from task_queue.actors.actions.registry import Registry
from task_queue.actors.consumer import ConsumerActor
from task_queue.actors.messages.consumer import Deliver
from task_queue.actors.messages.queue import Nack
from task_queue.actors.tasks.claim import ClaimedTask, Lease
from tests.fakes import NOW, Inbox, life
from tests.harness import ROOT

TASK = ClaimedTask(Lease("task", 1), "mine", '{"numbers":1}', 1, 1)


def fails(data: object) -> None:
    raise ValueError(data)


async def fails_later(data: object) -> None:
    await asyncio.sleep(0)
    fails(data)


def frames(function: Callable[..., Any]) -> list[str]:
    """The functions in the traceback that is kept of this action's failure."""
    action = ThreadAction(
        PythonFunction(function), timeout_seconds=9.0, overdue_seconds=9.0, max_result_bytes=99
    )
    queue = Inbox()
    consumer = ConsumerActor(
        life("one"),
        queue=queue,
        actions=Registry({"mine": action}, None),
        now=lambda: NOW,
        monotonic=lambda: 0.0,
    )
    consumer.receive(Deliver(TASK))
    (message,) = queue.messages
    assert isinstance(message, Nack)
    assert message.failure.traceback is not None
    lines = message.failure.traceback.splitlines()
    return [line.rpartition(" ")[2] for line in lines if line.startswith("  File")]


def seen() -> dict[str, Any]:
    return {
        "folder": str(Path(actors.__file__).parent),
        "thread": frames(fails),
        "loop": frames(fails_later),
        "builtin": frames(total),
    }


def copied(folder: Path) -> list[str]:
    """The path of Python with the package as a wheel installs it, in this folder."""
    package = folder / "task_queue"
    shutil.copytree(ROOT / "api" / "public", package)
    for name in ("actors", "api", "config"):
        shutil.copytree(ROOT / name, package / name)
    return [str(folder), *unlinked()]


def unlinked() -> list[str]:
    """The path of Python without the links that `make` sets up: what is left is pip's hook."""
    return [each for each in sys.path if not Path(each, "task_queue").is_dir()]


@pytest.mark.parametrize("installed", ["links", "editable", "wheel"])
def test_however_it_is_installed_a_traceback_begins_with_the_action(
    installed: str, tmp_path: Path
) -> None:
    """The actions of this file lie inside the checkout, and are not ours all the same."""
    path, folder = {
        "links": lambda: (sys.path, Path(actors.__file__).parent),
        "editable": lambda: (unlinked(), ROOT / "actors"),
        "wheel": lambda: (copied(tmp_path), tmp_path / "task_queue" / "actors"),
    }[installed]()
    script = (
        "import json, sys; sys.path[:] = json.loads(sys.argv[1]);"
        f" from {__name__} import seen; print(json.dumps(seen()))"
    )
    run = subprocess.run(
        [sys.executable, "-P", "-c", script, json.dumps([*path, str(ROOT)])],
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    assert json.loads(run.stdout.splitlines()[-1]) == {
        "folder": str(folder),
        "thread": ["fails"],
        "loop": ["fails_later", "fails"],
        "builtin": ["total"],
    }
