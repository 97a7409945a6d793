"""Python functions in processes of their own: what comes back, and what becomes of the process."""

import io
import math
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, redirect_stderr, redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import psutil
import pytest
from structlog.testing import capture_logs

from task_queue.actors.actions.action import Done, Execution
from task_queue.actors.actions.call import Call
from task_queue.actors.actions.log_line import log_line
from task_queue.actors.actions.prints import PRINTS, Prints, output_is_caught
from task_queue.actors.actions.process import worker
from task_queue.actors.actions.process.action import ProcessAction
from task_queue.actors.actions.process.child import NICENESS, Children
from task_queue.actors.actions.process.pool import Workers
from task_queue.actors.actions.process.worker import Worker
from task_queue.actors.actions.python.function import imported
from task_queue.actors.actions.python.thread import ThreadAction
from task_queue.actors.tasks.claim import ClaimedTask, Lease
from task_queue.actors.tasks.failures import Ended, failure_of
from task_queue.actors.tasks.settlement import Failure
from task_queue.actors.tasks.slot import Progress, Slot
from task_queue.actors.tasks.states import Outcome
from tests.actors.actions import acts, odd_errors
from tests.actors.actions.acts import Ear, is_over
from tests.fakes import ManualClock
from tests.harness import ROOT, Gate, eventually

LEASE = Lease("task", 7)
MIB = 1_048_576


@pytest.fixture
def children() -> Iterator[Children]:
    before = psutil.Process().children()  # a database server of other tests may be one
    children = Children()
    yield children
    children.close()
    assert psutil.Process().children() == before


@pytest.fixture
def workers(children: Children) -> Iterator[Workers]:
    workers = Workers(children, Execution())
    yield workers
    workers.retire()
    assert children.count == 0


@pytest.fixture
def ear(tmp_path: Path) -> Iterator[Ear]:
    with Ear(tmp_path) as ear:
        yield ear


def action(name: str, workers: Workers, **changes: Any) -> ProcessAction:  # noqa: ANN401
    target = f"{acts.__name__}:{name}"
    arguments: dict[str, Any] = {
        "timeout_seconds": 0.0,
        "overdue_seconds": 0.0,
        "max_result_bytes": MIB,
        "memory_limit_mib": None,
    }
    return ProcessAction(
        imported(f"actions.{name}", target), target, workers=workers, **(arguments | changes)
    )


def a_call(data: object = None, **changes: Any) -> Call:  # noqa: ANN401 - any argument
    claimed = ClaimedTask(LEASE, "mine", orjson.dumps(data or {}).decode(), 2, 5)
    return Call(claimed, Slot("mail"), **changes)


def run(name: str, workers: Workers, **data: object) -> Any:  # noqa: ANN401 - its result
    return orjson.loads(action(name, workers).run(a_call(data)).result)


def failure(name: str, workers: Workers, call: Call | None = None, **data: object) -> Failure:
    with pytest.raises(Ended) as ended:
        action(name, workers).run(call or a_call(data))
    return ended.value.failure


def pid(workers: Workers) -> int:
    """The process that runs the next task."""
    return int(run("process", workers)["pid"])


@contextmanager
def running(each: ProcessAction, call: Call) -> Iterator["Future[Done]"]:
    """What it comes to, while it runs beside the block."""
    with ThreadPoolExecutor(1) as pool:
        try:
            yield pool.submit(each.run, call)
        except BaseException:
            call.slot.stop = LEASE  # or the test would wait for it
            raise


def failure_in(future: "Future[Done]") -> Failure:
    error = future.exception(30)
    assert isinstance(error, Ended)
    return error.failure


def wait_until_over(process: int) -> None:
    eventually(lambda: is_over(process), f"{process} is over")


# --- what comes back ------------------------------------------------------------------------


def test_what_it_is_given_and_what_it_returns_is_json(workers: Workers) -> None:
    data: dict[str, Any] = {"null": None, "text": "\x00é😀", "many": [1, 2.5, -(2**63), {"a": {}}]}
    assert run("echo", workers, **data) == data
    assert run("double", workers, width=4) == 8
    assert run("later", workers, value=[1]) == [1]


def test_data_and_result_may_be_large(workers: Workers) -> None:
    data = {"text": "é" * 500_000}
    assert run("echo", workers, **data) == data


@pytest.mark.parametrize(
    ("what", "problem"),
    [
        ("long", "the result has 10000002 bytes; execution.max_result_bytes is 1048576"),
        ("nan", "result[0]: NaN has no JSON form"),
        ("bytes", "result.files[0]: bytes has no JSON form; decode it, or write it as Base64"),
    ],
)
def test_a_result_that_cannot_be_kept_is_rejected(
    workers: Workers, what: str, problem: str
) -> None:
    rejected = failure("returns", workers, what=what)
    assert (rejected.error, rejected.permanent) == (problem, True)


def test_data_that_does_not_fit_any_more_is_rejected(workers: Workers) -> None:
    rejected = failure("double", workers, width="wide")
    assert rejected.error.startswith("data.width: input should be a valid integer")
    assert rejected.permanent


def test_it_is_told_of_its_task(workers: Workers) -> None:
    expected = {"id": "task", "queue": "mail", "action": "mine", "attempt": 2, "max_attempts": 5}
    assert run("about", workers) == expected | {"seconds": None}
    result = action("about", workers).run(a_call(timeout_seconds=1000.0)).result
    assert 990 < orjson.loads(result)["seconds"] <= 1000


def test_it_runs_on_the_given_cores_and_stands_back_behind_the_service() -> None:
    for core in sorted(os.sched_getaffinity(0)):
        children = Children([core])
        workers = Workers(children, Execution())
        process = run("process", workers)
        workers.retire()
        assert process["cores"] == [core]
        assert process["nice"] == min(os.nice(0) + NICENESS, 19)


# --- what is said meanwhile -----------------------------------------------------------------


def test_progress_is_in_the_slot_while_it_runs_and_at_its_end(
    workers: Workers, tmp_path: Path
) -> None:
    gate = Gate(tmp_path)
    call = a_call({"gate": str(gate.path)})
    with running(action("report", workers), call) as future:
        seen = eventually(lambda: call.slot.take_progress(LEASE), "a report")
        gate.open()
        future.result(30)
    assert seen == Progress(LEASE, 0.5, "half")
    assert call.slot.take_progress(LEASE) == Progress(LEASE, 1.0, "done")


def test_what_it_logs_is_logged_here(workers: Workers) -> None:
    with capture_logs() as lines:
        run("log", workers)
    resized, strange, nothing, failed = lines
    assert resized == {
        "event": "resized",
        "log_level": "info",
        "width": 640,
        "size": {"width": 2},
        "id": "task",
        "queue": "mail",
        "action": "mine",
        "attempt": 2,
    }
    assert strange["log_level"] == "warning"
    assert "strange" in strange["event"]
    assert (strange["number"], strange["text"]) == (f"'{2**70}'", r"'\ud800'")
    assert (strange["id"], strange["attempt"], strange["width"]) == ("task", 2, 640)
    assert (nothing.get("event"), nothing["id"], nothing["self_"]) == (None, "task", 3)
    assert (failed["event"], failed["log_level"]) == ("failed", "error")
    assert failed["exception"].endswith("ValueError: caught")


def test_what_it_prints_goes_where_the_service_prints_even_after_it_closed_that(
    workers: Workers, capfd: pytest.CaptureFixture[str]
) -> None:
    for text in ("once", "twice"):
        run("print_and_close", workers, text=text)
    assert capfd.readouterr().out == "once\ntwice\n"


@contextmanager
def printing() -> Iterator[Prints]:
    """What is printed in the block, as in a task."""
    prints = Prints(a_call().claimed)
    token = PRINTS.set(prints)
    try:
        with output_is_caught():
            yield prints
    finally:
        PRINTS.reset(token)


def test_what_it_prints_and_logs_is_kept_in_the_order_in_which_it_did(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    def keep(level: str, fields: dict[str, Any]) -> None:
        prints.log(log_line({"level": level, **fields}))

    monkeypatch.setattr(worker, "_pass_on", keep)
    times = 200
    for _ in range(2):  # what a former task has printed is not counted
        with printing() as prints:
            run("print_and_log_in_turns", workers, times=times)
        kept = (prints.close() or "").splitlines()
        assert kept[-1] == "the end"
        several = [re.sub(r"^\d\d:\d\d:\d\d ", "", line) for line in kept[-81:-1]]
        assert several == [
            line
            for number in range(times - 20, times)
            for line in (
                f"printed {number} caf\u00e9",
                f"info logged number={number}",
                f"error {number}",
                f"warning warned {number} logger=mine",
            )
        ]


@pytest.mark.parametrize("how", ["return", "exit", "hang"])
def test_all_that_a_process_and_what_it_starts_write_is_its_tasks_however_it_ends(
    workers: Workers, ear: Ear, how: str
) -> None:
    call = a_call({"how": how, "ear": str(ear.path)}, timeout_seconds=60.0)

    def end_what_hangs() -> None:
        if how == "hang":
            assert ear.hear() == "written"
            stop_by_timeout(call)

    with (
        ThreadPoolExecutor(1) as pool,
        printing() as prints,
        nullcontext() if how == "return" else pytest.raises(Ended),
    ):
        pool.submit(end_what_hangs)
        action("write_in_every_way", workers).run(call)
    lines = (prints.close() or "").splitlines()
    assert sorted(lines) == ["a program's", "descriptor", "error", "printed", "thread"]


def test_an_action_in_a_thread_that_leads_the_output_elsewhere_does_not_get_a_processes(
    workers: Workers,
) -> None:
    elsewhere = io.StringIO()
    with (
        printing() as prints,
        capture_logs(),
        redirect_stdout(elsewhere),
        redirect_stderr(elsewhere),
    ):
        run("print_a_file_name", workers)
    assert (prints.close(), elsewhere.getvalue()) == ("caf\\udce9\n", "")


def test_it_may_print_what_cannot_be_encoded_as_in_a_thread(workers: Workers) -> None:
    with printing() as prints:
        run("print_a_file_name", workers)
    assert prints.close() == "caf\\udce9\n"


def test_what_comes_late_from_a_former_task_is_not_the_next_ones(
    workers: Workers, ear: Ear
) -> None:
    with printing():
        run("print_later", workers, ear=str(ear.path))
    assert ear.hear() == "printed"
    with printing() as prints:
        run("echo", workers)
    assert prints.close() is None


def test_what_it_logs_by_the_standard_library_reaches_the_log(workers: Workers) -> None:
    with capture_logs() as lines:
        run("log_by_logging", workers)
    first, second = lines
    assert first == {"event": "seen 5", "logger": "mine", "log_level": "warning"}
    assert second["event"] == "failed"
    assert second["exception"].endswith("ZeroDivisionError: division by zero")


# --- how it fails ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("error", Failure("ValueError: on purpose")),
        ("reject", Failure("never", permanent=True)),
        ("later", Failure("not yet", retry_after=7.5)),
        ("unspeakable", Failure("Unspeakable: an error whose text cannot be shown")),
        ("exit", Failure("SystemExit: 3")),
        ("interrupt", Failure("KeyboardInterrupt: ^C")),
        ("cancelled", Failure("Cancelled: by itself")),
    ],
)
def test_whatever_it_raises_is_its_failure_and_its_process_goes_on(
    workers: Workers, how: str, expected: Failure
) -> None:
    before = pid(workers)
    failed = failure("fail", workers, how=how)
    if how != "later":
        assert failed.traceback is not None
        first, frame, *_ = failed.traceback.splitlines()
        assert first == "Traceback (most recent call last):"
        assert re.fullmatch(rf'  File "{acts.__file__}", line \d+, in fail', frame)
        expected = Failure(**{**vars_of(expected), "traceback": failed.traceback})
    assert failed == expected
    assert pid(workers) == before


def test_it_says_of_any_error_what_a_thread_says(workers: Workers) -> None:
    before = pid(workers)
    target = f"{odd_errors.__name__}:{odd_errors.raise_it.__name__}"
    function = imported("actions.odd", target)
    limits: dict[str, Any] = {"timeout_seconds": 30.0, "max_result_bytes": MIB}
    thread = ThreadAction(function, overdue_seconds=0.0, **limits)
    process = ProcessAction(
        function, target, workers=workers, overdue_seconds=0.0, memory_limit_mib=None, **limits
    )
    for name in odd_errors.ERRORS:
        with pytest.raises(BaseException) as here:  # noqa: PT011 - any
            thread.run(a_call({"name": name}))
        with pytest.raises(Ended) as there:
            process.run(a_call({"name": name}))
        expected = failure_of(here.value, None, asked_to_stop=False)
        plain = [replace(each, traceback=None) for each in (there.value.failure, expected)]
        assert plain[0] == plain[1], name
    assert pid(workers) == before


def vars_of(failure: Failure) -> dict[str, Any]:
    return {name: getattr(failure, name) for name in Failure.__slots__}


@pytest.mark.parametrize(
    ("how", "error"),
    [
        ("exit", "the process ended with exit code 17"),
        ("segfault", "the process was killed by SIGSEGV"),
        ("kill", "the process was killed by SIGKILL"),
        ("close", "the process was killed by SIGKILL"),
    ],
)
def test_a_process_that_dies_is_only_its_tasks_failure(
    workers: Workers, how: str, error: str
) -> None:
    before = pid(workers)
    assert failure("die", workers, how=how) == Failure(error, Outcome.CRASHED, contained=True)
    assert is_over(before)
    assert pid(workers) != before


def test_a_process_that_takes_more_memory_than_it_may_is_killed(workers: Workers) -> None:
    before = pid(workers)
    with pytest.raises(Ended) as ended:
        action("hog", workers, memory_limit_mib=100).run(a_call({"mib": 150}))
    killed = ended.value.failure
    assert re.fullmatch(
        r"killed by SIGKILL: it took \d{3} MiB; memory_limit_mib is 100", killed.error
    )
    assert (killed.outcome, killed.contained) == (Outcome.CRASHED, True)
    assert is_over(before)


# --- how it is ended ------------------------------------------------------------------------


def stop_by_cancel(call: Call) -> None:
    call.slot.stop = LEASE


def stop_by_timeout(call: Call) -> None:
    call.timeout_seconds = 0.05
    call.restart()


STOPS = [(stop_by_cancel, "cancelled"), (stop_by_timeout, "timed out after 0.05 s")]


@pytest.fixture
def waits_until_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ends no process before it knows that somebody asked for it, however seldom it may run."""
    monkeypatch.setattr(worker, "TELL_SECONDS", 20.0)


@pytest.mark.usefixtures("waits_until_told")
@pytest.mark.parametrize(("stop", "error"), STOPS)
@pytest.mark.parametrize("name", ["clean_up", "clean_up_later", "compute", "log_for_ever"])
def test_one_that_has_to_stop_may_clean_up_and_knows_why(
    children: Children, ear: Ear, name: str, stop: Callable[[Call], None], error: str
) -> None:
    workers = Workers(children, Execution(kill_grace_seconds=20.0))
    call = a_call({"ear": str(ear.path)})
    with running(action(name, workers), call) as future:
        process = int(ear.hear())
        stop(call)
        began = time.monotonic()
        stopped = failure_in(future)
    assert time.monotonic() - began < 10.0, "not the whole grace"
    cancelled = stop is stop_by_cancel
    assert stopped == Failure(error, Outcome.CANCELLED if cancelled else Outcome.TIMED_OUT)
    assert ear.hear() == f"cleaned up, {cancelled}"
    # A coroutine that knows may end, and say so, before the signal comes: its process goes on.
    goes_on = not is_over(process)
    assert not goes_on or (cancelled and name == "clean_up_later")
    assert (pid(workers) == process) == goes_on


def test_a_coroutine_that_cleans_up_already_is_not_interrupted_in_that(
    workers: Workers, ear: Ear
) -> None:
    # The clock stands still here, so that the process alone knows that the time is over.
    call = a_call({"ear": str(ear.path)}, timeout_seconds=0.1, monotonic=ManualClock())
    ended = failure("clean_up_and_hear_of_it_again", workers, call)
    assert ear.hear() == "cleaned up"
    assert ended.error == "the process ended with exit code 143"


@pytest.mark.parametrize(("stop", "error"), STOPS)
@pytest.mark.parametrize("name", ["refuse", "ignore", "hold"])
def test_one_that_does_not_stop_is_killed_after_the_grace(
    children: Children, ear: Ear, name: str, stop: Callable[[Call], None], error: str
) -> None:
    workers = Workers(children, Execution(kill_grace_seconds=0.2))
    call = a_call({"ear": str(ear.path)})
    with running(action(name, workers), call) as future:
        process = int(ear.hear())
        stop(call)
        began = time.monotonic()
        stopped = failure_in(future)
    assert stopped.error == error
    assert is_over(process)
    assert 0.2 <= time.monotonic() - began < 5.0


def test_one_that_neither_takes_nor_ends_a_message_is_given_up(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "MESSAGE_SECONDS", 1)
    assert failure("send_half_a_message", workers).error == "the process was killed by SIGKILL"
    stopped = pid(workers)
    monkeypatch.undo()  # the next one may be slow
    os.kill(stopped, signal.SIGSTOP)
    os.waitid(os.P_PID, stopped, os.WSTOPPED | os.WNOWAIT)  # or it might still take the message
    text = "more than a socket holds" * 40_000
    assert run("echo", workers, text=text) == {"text": text}
    assert is_over(stopped)


def test_what_it_has_started_is_ended_with_it(workers: Workers, ear: Ear) -> None:
    call = a_call({"ear": str(ear.path), "waits": True})
    with running(action("spawn", workers), call) as future:
        pids = [int(ear.hear()) for _ in range(3)]
        stop_by_cancel(call)
        failure_in(future)
    for each in pids:
        wait_until_over(each)


def test_what_it_leaves_behind_is_gone_and_so_is_its_process(workers: Workers, ear: Ear) -> None:
    left = run("spawn", workers, ear=str(ear.path), waits=False)
    process = int(ear.hear())
    for each in (process, *left):
        wait_until_over(each)
    assert pid(workers) != process


def test_one_that_forks_returns_once(workers: Workers) -> None:
    assert run("fork", workers) == "the fork ended with 0"
    assert run("echo", workers, a=1) == {"a": 1}


# --- the life of a process ------------------------------------------------------------------


def test_a_process_is_kept_warm_for_the_next_task(workers: Workers, children: Children) -> None:
    assert len({pid(workers) for _ in range(5)}) == 1
    assert children.count == 1


def test_tasks_that_run_at_once_have_a_process_each_and_both_are_kept(
    workers: Workers, children: Children, tmp_path: Path
) -> None:
    gate = Gate(tmp_path)
    call = a_call({"gate": str(gate.path)})
    with running(action("report", workers), call) as future:
        eventually(lambda: call.slot.take_progress(LEASE), "a report")
        other = pid(workers)
        gate.open()
        future.result(30)
    assert children.count == 2
    assert {pid(workers), pid(workers)} == {pid(workers)} != {other}


def test_a_process_is_replaced_after_so_many_tasks(children: Children) -> None:
    workers = Workers(children, Execution(max_tasks_per_process=3))
    pids = [pid(workers) for _ in range(7)]
    assert [pids.count(each) for each in dict.fromkeys(pids)] == [3, 3, 1]
    assert children.count == 1


def test_a_process_that_keeps_much_memory_is_replaced(children: Children) -> None:
    workers = Workers(children, Execution(max_mib_per_process=100))
    grown = [run("grow", workers, mib=mib) for mib in (10, 120)]
    assert grown[0] == grown[1] != pid(workers)
    workers.retire()


def kill(process: int) -> None:
    """Kill a child of this process, and wait until all its threads are gone; it is not buried."""
    os.kill(process, signal.SIGKILL)
    os.waitid(os.P_PID, process, os.WEXITED | os.WNOWAIT)


def test_a_process_that_is_killed_while_it_waits_costs_nobody_an_attempt(
    workers: Workers,
) -> None:
    before = pid(workers)
    kill(before)
    assert pid(workers) != before


def test_nor_does_one_that_is_killed_just_after_it_was_found_alive(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = pid(workers)
    kill(before)
    monkeypatch.setattr(Worker, "is_alive", True)
    assert pid(workers) != before


def wrapped(directory: Path, code: str) -> str:
    """A program that does this, and is Python then."""
    wrapper = directory / "python"
    wrapper.write_text(f'#!/bin/sh\n{code}\nexec {sys.executable} "$@"\n')
    wrapper.chmod(0o755)
    return str(wrapper)


def test_its_time_begins_when_its_process_has_started(
    workers: Workers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, clock = Gate(tmp_path), ManualClock()
    monkeypatch.setattr(sys, "executable", wrapped(tmp_path, f"read go <{gate.path}"))
    call = a_call(timeout_seconds=1000.0, monotonic=clock)
    with running(action("about", workers), call) as future:
        with gate.held() as file:
            clock.advance(5000.0)
            file.write("go\n")
        result = future.result(30).result
    assert 990 < orjson.loads(result)["seconds"] <= 1000
    assert math.isclose(call.remaining_seconds, 1000.0)


def test_a_process_that_does_not_start_is_a_clear_failure(
    workers: Workers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", wrapped(tmp_path, "exit 3"))
    assert failure("echo", workers) == Failure(
        "the process for it did not start: the process ended with exit code 3"
    )


def test_it_inherits_nothing_but_the_usual_and_its_line(workers: Workers) -> None:
    with Path(os.devnull).open() as file:
        os.set_inheritable(file.fileno(), True)  # noqa: FBT003 - its only argument
        directory = Path(f"/proc/{pid(workers)}/fdinfo")
    own = sorted(int(each.name) for each in directory.iterdir() if not _ends_with_exec(each))
    assert own[:3] == [0, 1, 2]
    (line,) = own[3:]
    assert str((directory.parent / "fd" / str(line)).readlink()).startswith("socket:")


def _ends_with_exec(descriptor: Path) -> bool:
    """Whether it is one that the process has opened for itself."""
    return bool(int(descriptor.read_text().split("flags:")[1].split()[0], 8) & os.O_CLOEXEC)


SERVICE = """
import sys, threading
from task_queue.actors.actions.action import Execution
from task_queue.actors.actions.process.child import Children
from task_queue.actors.actions.process.pool import Workers
from tests.actors.actions.process.test_process import action, a_call, pid
workers = Workers(Children(), Execution())
busy = action("clean_up", workers)
threading.Thread(target=busy.run, args=[a_call({"ear": sys.argv[1]})], daemon=True).start()
print(pid(workers), flush=True)
sys.stdin.read()
"""


def test_processes_end_with_the_service_however_it_ends(ear: Ear) -> None:
    service = subprocess.Popen(
        [sys.executable, "-c", SERVICE, str(ear.path)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with service:
        assert service.stdout is not None
        warm, busy = int(service.stdout.readline()), int(ear.hear())
        assert not is_over(warm)
        assert not is_over(busy)
        service.kill()
    for each in (warm, busy):
        wait_until_over(each)


def test_no_process_is_kept_warm_any_more_for_actions_that_others_took_the_place_of(
    workers: Workers, children: Children, tmp_path: Path
) -> None:
    gate = Gate(tmp_path)
    call = a_call({"gate": str(gate.path)})
    with running(action("report", workers), call) as future:
        eventually(lambda: call.slot.take_progress(LEASE), "a report")
        idle = pid(workers)
        workers.retire()
        assert is_over(idle)
        assert children.count == 1
        gate.open()
        future.result(30)
    assert children.count == 0
