import asyncio
import decimal
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import structlog

from task_queue import actors
from task_queue.actors.actions.builtin import total
from task_queue.actors.actions.python.function import PythonFunction
from task_queue.actors.actions.python.thread import ThreadAction
from task_queue.actors.actions.registry import Registry
from task_queue.actors.consumer import ConsumerActor
from task_queue.actors.messages.consumer import Deliver
from task_queue.actors.messages.queue import Ack, Nack
from task_queue.actors.tasks.claim import ClaimedTask, Lease
from task_queue.actors.tasks.settlement import MAX_POSTPONE_SECONDS, Failure
from task_queue.actors.tasks.text import MAX_ERROR_CHARS
from tests.actors.actions.odd_errors import ERRORS, raise_it, raise_it_later
from tests.fakes import NOW, Inbox, life
from tests.harness import ROOT

TASK = ClaimedTask(Lease("task", 1), "mine", '{"numbers":1}', 1, 1)


def fails(data: object) -> None:
    raise ValueError(data)


async def fails_later(data: object) -> None:
    await asyncio.sleep(0)
    fails(data)


def run_in_thread(function: Callable[..., Any], **data: object) -> object:
    """What a consumer tells its queue of this action's run."""
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
    consumer.receive(Deliver(TASK._replace(data=json.dumps(data)) if data else TASK))
    (message,) = queue.messages
    return message


def failure_in_thread(function: Callable[..., Any], **data: object) -> Failure:
    message = run_in_thread(function, **data)
    assert isinstance(message, Nack)
    return message.failure


def frames(function: Callable[..., Any]) -> list[str]:
    """The functions in the traceback that is kept of this action's failure."""
    traceback = failure_in_thread(function).traceback
    assert traceback is not None
    lines = traceback.splitlines()
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


@pytest.mark.parametrize("function", [raise_it, raise_it_later])
@pytest.mark.parametrize("name", ERRORS)
def test_whatever_is_raised_is_the_failure_of_its_attempt_with_texts_that_can_be_stored(
    name: str, function: Callable[..., Any]
) -> None:
    failure = failure_in_thread(function, name=name)
    if function is raise_it:
        assert failure.error == ERRORS[name][1]
    for text in (failure.error, failure.traceback or ""):
        assert 0 < len(text) <= MAX_ERROR_CHARS or text == ""
        assert "\0" not in text
        text.encode()
    assert failure.retry_after is None or 0 < failure.retry_after <= MAX_POSTPONE_SECONDS


class EvasiveError(Exception):
    """Refuses to be looked at."""

    def __getattribute__(self, name: str) -> Any:  # noqa: ANN401 - of any attribute
        raise RuntimeError(name)


def evade(_: object) -> None:
    raise EvasiveError


async def evade_later(_: object) -> None:
    evade(_)


@pytest.mark.parametrize("function", [evade, evade_later])
def test_an_error_that_refuses_to_be_looked_at_is_a_failure_like_any_other(
    function: Callable[..., Any],
) -> None:
    assert failure_in_thread(function).error == "an error whose text cannot be shown"


def test_what_a_task_binds_to_the_log_or_sets_in_decimal_ends_with_it() -> None:
    def change(_data: object) -> int:
        before = decimal.getcontext().prec
        decimal.getcontext().prec = 3
        structlog.contextvars.bind_contextvars(user="somebody")
        return before

    with ThreadPoolExecutor(1) as consumer:  # here the context may be in use already
        results = list(consumer.map(run_in_thread, [change, change]))
        assert consumer.submit(structlog.contextvars.get_contextvars).result() == {}
    assert [each.result for each in results if isinstance(each, Ack)] == ["28", "28"]
