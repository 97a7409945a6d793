"""Actions that crash, hang on, take every core or outlive their server: what becomes of others."""

import json
import os
import statistics
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.actors.actions.acts import Ear, is_over
from tests.faults.stored import Row, Stored
from tests.harness import ServerProcess, eventually

GOOD, BAD = 1_000, 100
CONCURRENCY = 4
CORES = len(os.sched_getaffinity(0))
PUBLISHES = 300
SPIN_SECONDS = 4.0
"""Several leases long."""
P99_SECONDS = 0.25

pytestmark = pytest.mark.system

Serve = Callable[..., ServerProcess]

ACTIONS = """
[actions.thread]
python = "tests.actions:record"

[actions.process]
python = "tests.actions:record"
execution = "process"

[actions.program]
command = ["tee", "-a", "program.ran"]

[actions.dies]
python = "tests.actors.actions.acts:die"
execution = "process"

[actions.hog]
python = "tests.actors.actions.acts:hog"
execution = "process"
memory_limit_mib = 64

[actions.kills-itself]
command = ["sh", "-c", "kill -KILL $$"]

[actions.waits-in-process]
python = "tests.actors.actions.acts:clean_up"
execution = "process"

[actions.waits-in-loop]
python = "tests.actors.actions.acts:clean_up_later"

[actions.waits-in-program]
command = ["sh", "-c", "sleep 1000 & setsid sleep 1000 & echo $! >ear.fifo; wait"]

[actions.spins]
python = "tests.actors.actions.acts:spin"
cpu = true
"""


@pytest.fixture
def start(serve: Serve, tmp_path: Path) -> Callable[..., ServerProcess]:
    """Starts a server with these actions, with settings as for `--set`."""

    def start(*settings: str) -> ServerProcess:
        config = tmp_path / "actions.toml"
        config.write_text(ACTIONS)
        server = serve(f"database.url=sqlite:///{tmp_path}/tasks.db", *settings)
        server.environ["TASK_QUEUE_CONFIG"] = str(config)
        return server.start()

    return start


def stored(directory: Path) -> Stored:
    return Stored(f"sqlite:///{directory}/tasks.db")


def with_sleepers(server: ServerProcess) -> list[psutil.Process]:
    """All that the server has started, once the program's own two have become what they are."""
    processes = psutil.Process(server.pid).children(recursive=True)
    return processes if Counter(each.name() for each in processes)["sleep"] == 2 else []


def wait_until_over(process: int) -> None:
    eventually(lambda: is_over(process), f"{process} is over")


def publish(server: ServerProcess, tasks: list[dict[str, Any]]) -> list[str]:
    """The ids of so many tasks, in their order."""
    ids: list[str] = []
    for first in range(0, len(tasks), 1000):
        batch = {"tasks": tasks[first : first + 1000]}
        answer = server.client.post("/tasks/batch", json=batch)
        assert answer.status_code == httpx.codes.ACCEPTED, answer.text
        ids += answer.json()["ids"]
    return ids


# --- crashes --------------------------------------------------------------------------------

EXIT = ("dies", {"how": "exit"}, "the process ended with exit code 17")
SEGFAULT = ("dies", {"how": "segfault"}, "the process was killed by SIGSEGV")
KILL: tuple[str, dict[str, object], str] = (
    "kills-itself",
    {},
    "the process was killed by SIGKILL",
)
HOG = ("hog", {"mib": 64}, "killed by SIGKILL: it took ")
CRASHES: tuple[tuple[str, Mapping[str, object], str], ...] = (
    *(EXIT, KILL, SEGFAULT, KILL, HOG),
    *(EXIT, KILL, SEGFAULT, KILL, EXIT),
)


def good(number: int) -> dict[str, Any]:
    action = ("thread", "process", "program")[number % 3]
    return {"action": action, "data": {"line": str(number), "file": f"{action}.ran"}}


def bad(number: int) -> dict[str, Any]:
    action, data, _ = CRASHES[number % len(CRASHES)]
    return {"action": action, "data": {**data, "number": number}}


def result(row: Row) -> object:
    """The line of a good task, as it came back."""
    value = json.loads(row.result or "null")
    return value["line" if row.action == "program" else "output"]


def has_only_warm_ones(process: psutil.Process) -> bool:
    """Whether of what the process has started there is no more than may wait, and none is dead."""
    children = process.children(recursive=True)
    dead = [each for each in children if each.status() == psutil.STATUS_ZOMBIE]
    return not dead and len(children) <= CONCURRENCY


def ran(directory: Path) -> list[int]:
    """What the good tasks have noted, each time they ran."""
    lines = [(directory / f"{each}.ran").read_text().split() for each in ("thread", "process")]
    programs = (directory / "program.ran").read_text().replace("}{", "}\n{").splitlines()
    texts = [*lines[0], *lines[1], *(json.loads(each)["line"] for each in programs)]
    return [int(each) for each in texts]


def test_a_hundred_crashing_tasks_among_a_thousand_are_dead_and_concern_no_other(
    start: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    server = start(
        f"queues.tasks.concurrency={CONCURRENCY}",
        "queues.tasks.max_attempts=2",
        "queues.tasks.backoff_base_seconds=0.01",
        "queues.tasks.backoff_cap_seconds=0.01",
    )
    process = psutil.Process(server.pid)
    assert (server.client.get("/healthz").status_code, process.children()) == (200, [])
    descriptors = process.num_fds()
    every = GOOD // BAD
    tasks = [good(number) for number in range(GOOD)]
    for number in range(BAD):
        tasks.insert(number * (every + 1), bad(number))
    ids = publish(server, tasks)
    rows = stored(tmp_path).wait_until_finished(60)

    crashed = ids[:: every + 1]
    others = [each for each in ids if each not in set(crashed)]
    assert [(rows[each].status, rows[each].attempt) for each in others] == [("completed", 1)] * GOOD
    assert [result(rows[each]) for each in others] == [str(number) for number in range(GOOD)]
    assert sorted(ran(tmp_path)) == list(range(GOOD)), "each of them ran once"
    assert [(rows[each].status, rows[each].attempt) for each in crashed] == [("dead", 2)] * BAD
    runs = stored(tmp_path).runs()
    for number, each in enumerate(crashed):
        assert str(rows[each].error).startswith(CRASHES[number % len(CRASHES)][2])
        assert [run.outcome for run in runs[each]] == ["crashed", "crashed"]

    eventually(lambda: has_only_warm_ones(process), "none but warm processes are left")
    # A line, one that tells its end, and two for what it prints.
    allowed = descriptors + 4 * len(process.children())
    eventually(lambda: process.num_fds() <= allowed, f"no more than {allowed} descriptors")


# --- ends -----------------------------------------------------------------------------------

WAITING = ("waits-in-process", "waits-in-loop", "waits-in-program")


@pytest.mark.parametrize("action", WAITING)
def test_a_running_task_that_is_cancelled_has_ended_within_two_seconds(
    start: Callable[..., ServerProcess], tmp_path: Path, action: str
) -> None:
    with Ear(tmp_path) as ear:
        server = start()
        task_id = server.publish(action, ear=str(ear.path))
        process = int(ear.hear())
        began = time.monotonic()
        assert server.client.post(f"/tasks/{task_id}/cancel").status_code == httpx.codes.ACCEPTED
        server.wait_for_status(task_id, "cancelled")
        assert time.monotonic() - began <= 2.0
        if action == "waits-in-loop":
            assert process == server.pid
        else:
            wait_until_over(process)
        if action != "waits-in-program":
            assert ear.hear() == "cleaned up, True"


def test_what_outlasts_the_drain_is_ended_whole_and_given_back(
    start: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    with Ear(tmp_path) as ear:
        server = start("shutdown.drain_seconds=0.5", f"queues.tasks.concurrency={CONCURRENCY}")
        tasks = [server.publish(each, ear=str(ear.path)) for each in WAITING]
        for _ in WAITING:
            ear.hear()
        processes = eventually(lambda: with_sleepers(server), "the program has started its own")
        assert server.terminate(10) == 0
    for each in processes:
        wait_until_over(each.pid)
    rows = stored(tmp_path).rows()
    assert [(rows[each].status, rows[each].attempt) for each in tasks] == [("queued", 0)] * 3


def test_processes_do_not_outlive_a_server_that_is_killed(
    start: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    with Ear(tmp_path) as ear:
        server = start(f"queues.tasks.concurrency={CONCURRENCY}")
        server.publish("waits-in-process", ear=str(ear.path))
        ear.hear()
        warm = server.publish("process", line="1", file="process.ran")
        server.wait_for_status(warm, "completed")
        processes = psutil.Process(server.pid).children()
        assert len(processes) == 2
        server.kill()
        for each in processes:
            wait_until_over(each.pid)


# --- all cores ------------------------------------------------------------------------------


def test_while_actions_take_every_core_it_answers_and_loses_no_lease(
    start: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    server = start("queues.tasks.lease_seconds=1", f"queues.tasks.concurrency={CORES + 1}")
    end = tmp_path / "end"
    spinning = publish(server, [{"action": "spins", "data": {"until": str(end)}}] * CORES)
    for _ in spinning:
        server.wait_for_log("processing task", action="spins")
    process, every_core = psutil.Process(server.pid), sorted(os.sched_getaffinity(0))
    assert len(process.cpu_affinity()) == 1
    eventually(
        lambda: [each.cpu_affinity() for each in process.children()] == [every_core] * CORES,
        "they spin on every core",
    )
    took: list[float] = []
    until = time.monotonic() + SPIN_SECONDS
    while len(took) < PUBLISHES or time.monotonic() < until:
        began = time.monotonic()
        server.publish("sum", numbers=[len(took)])
        took.append(time.monotonic() - began)
        if len(took) % 50 == 0:
            assert server.client.get("/tasks").status_code == httpx.codes.OK
    assert [server.task(each)["status"] for each in spinning] == ["running"] * CORES
    end.touch()
    rows = stored(tmp_path).wait_until_finished()
    assert {(row.status, row.attempt) for row in rows.values()} == {("completed", 1)}
    assert statistics.quantiles(took, n=100)[-1] <= P99_SECONDS
