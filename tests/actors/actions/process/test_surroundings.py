import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from task_queue.actors.actions.action import Execution
from task_queue.actors.actions.call import Call
from task_queue.actors.actions.process.action import ProcessAction
from task_queue.actors.actions.process.child import Children
from task_queue.actors.actions.process.pool import Workers
from task_queue.actors.actions.python.function import imported
from task_queue.actors.tasks.claim import ClaimedTask, Lease
from task_queue.actors.tasks.slot import Slot
from tests.actors.actions.process.changes import CHANGES, CHANGES_OF_ROOT

HERE = "tests.actors.actions.process.changes"
REPLACED = {"niceness", "detached", "closed buffer", *CHANGES_OF_ROOT}
if len(os.sched_getaffinity(0)) > 1:
    REPLACED.add("cores")


@pytest.fixture
def workers() -> Iterator[Workers]:
    children = Children()
    yield Workers(children, Execution())
    children.close()


def run(workers: Workers, name: str, **data: object) -> dict[str, Any]:
    target = f"{HERE}:{name}"
    action = ProcessAction(
        imported(name, target),
        target,
        workers=workers,
        timeout_seconds=30.0,
        overdue_seconds=0.0,
        max_result_bytes=1_048_576,
        memory_limit_mib=None,
    )
    claimed = ClaimedTask(Lease("task", 1), name, json.dumps(data), 1, 1)
    result: dict[str, Any] = json.loads(action.run(Call(claimed, Slot("tasks"))).result)
    return result


@pytest.mark.parametrize("what", CHANGES)
def test_what_a_task_changes_in_its_process_the_next_one_does_not_meet(
    workers: Workers, what: str, capfd: pytest.CaptureFixture[str]
) -> None:
    before = run(workers, "change", what=what)
    after = run(workers, "look", text="the next")
    assert (after.pop("process") != before.pop("process")) == (what in REPLACED)
    assert after == before
    assert capfd.readouterr().out == "the next\n"


COST = """
import timeit
from task_queue.actors.actions.process.surroundings import Surroundings
surroundings = Surroundings()
print(min(timeit.repeat(surroundings.put_back, number=200, repeat=20)) / 200 * 1e6)
"""


def test_it_costs_a_task_some_tens_of_microseconds() -> None:
    cost = subprocess.run(
        [sys.executable, "-c", COST], check=True, capture_output=True, text=True, timeout=60
    )
    assert float(cost.stdout) < 1_000  # 20 where nothing else runs
