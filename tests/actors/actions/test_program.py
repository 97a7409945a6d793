"""Programs as actions: what they get, what becomes of what they say, and how they are ended."""

import errno
import gc
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import orjson
import psutil
import pytest

from task_queue.actors.actions.action import Done
from task_queue.actors.actions.call import Call
from task_queue.actors.actions.load import load_actions
from task_queue.actors.actions.process.child import NICENESS, Child, Children
from task_queue.actors.actions.program import TEMPFAIL_BACKOFF, Program
from task_queue.actors.actions.result import Form
from task_queue.actors.errors import ActionLoadError, RetryLater, UnavailableError
from task_queue.actors.tasks.claim import ClaimedTask, Lease, Terms
from task_queue.actors.tasks.failures import Ended
from task_queue.actors.tasks.settlement import Failure
from task_queue.actors.tasks.slot import Slot
from task_queue.actors.tasks.states import Outcome
from task_queue.actors.tasks.text import MAX_STDERR_CHARS
from task_queue.config.layers import load
from tests.actors.actions.acts import Ear, is_over
from tests.harness import eventually

LEASE = Lease("task", 7)
PATH = os.environ["PATH"]
MIB = 1_048_576
A_GIGABYTE = 1_000_000_000


@pytest.fixture
def children() -> Iterator[Children]:
    before = psutil.Process().children()  # a database server of other tests may be one
    children = Children()
    yield children
    left = children.count
    children.close()
    assert left == 0
    assert psutil.Process().children() == before


@pytest.fixture
def ear(tmp_path: Path) -> Iterator[Ear]:
    with Ear(tmp_path) as ear:
        yield ear


def a_call(data: str = "{}", **changes: Any) -> Call:  # noqa: ANN401 - any argument
    claimed = ClaimedTask(LEASE, "mine", data, 2, 5, terms=changes.pop("terms", Terms()))
    return Call(claimed, Slot("tasks"), **changes)


def program(children: Children, *command: str, **changes: Any) -> Program:  # noqa: ANN401
    arguments: dict[str, Any] = {
        "directory": None,
        "environment": {"PATH": PATH},
        "children": children,
        "timeout_seconds": 0.0,
        "overdue_seconds": 0.0,
        "kill_grace_seconds": 5.0,
        "form": Form.AUTO,
        "max_result_bytes": MIB,
        "memory_limit_mib": None,
        "random": lambda: 0.5,
    }
    return Program(command, **(arguments | changes))


def python(code: str, *arguments: str) -> Sequence[str]:
    return sys.executable, "-S", "-c", code, *arguments


def shell(code: str, *arguments: object) -> Sequence[str]:
    return "sh", "-c", code, "sh", *map(str, arguments)


def failure(action: Program, call: Call | None = None) -> Failure:
    with pytest.raises(Ended) as ended:
        action.run(call or a_call())
    return ended.value.failure


@contextmanager
def running(action: Program, call: Call) -> Iterator["Future[Done]"]:
    """What it comes to, while it runs beside the block."""
    with ThreadPoolExecutor(1) as pool:
        try:
            yield pool.submit(action.run, call)
        except BaseException:
            call.slot.stop = LEASE  # or the test would wait for it
            raise


def failure_in(future: "Future[Done]") -> Failure:
    error = future.exception(30)
    assert isinstance(error, Ended)
    return error.failure


def wait_until_over(pid: int) -> None:
    eventually(lambda: is_over(pid), f"{pid} is over")


@contextmanager
def at_most_mib(mib: int) -> Iterator[None]:
    """Fails if this process takes more memory, at any moment of the block, than before it."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak is what it is now
    before = psutil.Process().memory_info().rss
    yield
    status = Path("/proc/self/status").read_text()
    peak = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert peak is not None
    assert int(peak[1]) * 1024 - before <= mib * MIB


# --- what it gets and what it says ----------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "result"),
    [
        (["cat"], '{"n": [1,\n2.50]}'),  # to the letter
        (shell("cat >/dev/null; echo hello"), '"hello"'),
        (shell("echo '  [1, 2]  '"), "[1, 2]"),
        (["true"], "null"),
        (shell("echo hello >&2; exec 1>&-"), "null"),
    ],
)
def test_the_data_is_on_standard_input_and_the_result_on_standard_output(
    children: Children, command: Sequence[str], result: str
) -> None:
    assert program(children, *command).run(a_call('{"n": [1,\n2.50]}')).result == result


@pytest.mark.parametrize(
    "code", ["echo done", "exec 0<&-; sleep 0.1; echo done", "head -c 9 >/dev/null; echo done"]
)
def test_a_program_that_does_not_want_to_know_all_its_data_need_not(
    children: Children, code: str
) -> None:
    data = json.dumps({"x": "x" * MIB})
    assert program(children, *shell(code)).run(a_call(data)).result == '"done"'


def test_data_and_result_may_each_be_larger_than_a_pipe(children: Children) -> None:
    data = json.dumps({"x": "x" * (MIB - 100)})
    assert program(children, "cat").run(a_call(data)).result == data


@pytest.mark.parametrize(
    ("form", "code", "problem"),
    [
        (Form.AUTO, r"printf 'a\377'", "the output is not UTF-8: invalid start byte at byte 1"),
        (Form.TEXT, r"printf 'a\377'", "the output is not UTF-8: invalid start byte at byte 1"),
        (Form.AUTO, "echo '{\"a\": NaN}'", "the output is not JSON: unexpected character"),
        (Form.JSON, "echo done", "the output is not JSON: unexpected character"),
        (Form.JSON, "true", "the output is not JSON: "),
    ],
)
def test_a_program_whose_output_is_not_of_its_form_has_failed_for_good(
    children: Children, form: Form, code: str, problem: str
) -> None:
    failed = failure(program(children, *shell(f"echo why >&2; {code}"), form=form), a_call())
    assert failed.error.startswith(problem)
    assert (failed.permanent, failed.stderr, failed.traceback) == (True, "why\n", None)


def test_what_a_program_writes_can_be_set(children: Children) -> None:
    settings = 'actions.mine={command = ["echo", "{}"], result = "text"}'
    actions = load_actions(load(overrides=[settings], environ={}).settings, children)
    assert actions.run(a_call().claimed, Slot("tasks")).result == '"{}"'


class Late(Children):
    """Nobody looks at its processes before they have ended."""

    def start(self, command: Sequence[str], **options: Any) -> Child:  # noqa: ANN401
        child = super().start(command, **options)
        eventually(lambda: child.has_ended, "it has ended")
        return child


def test_what_is_in_the_pipes_when_a_program_ends_is_not_lost() -> None:
    code = (
        "import fcntl, os\n"
        "for stream in 1, 2:\n"
        "    fcntl.fcntl(stream, fcntl.F_SETPIPE_SZ, 1 << 20)\n"
        "    os.write(stream, b'x' * 900_000 + b'end')"
    )
    done = program(Late(), *python(code)).run(a_call())
    assert len(done.result) == 900_005
    assert done.stderr == "x" * (MAX_STDERR_CHARS - 3) + "end"


@pytest.mark.parametrize("code", [0, 1])
@pytest.mark.parametrize("letter", ["e", "é", "😀"])
def test_the_last_of_standard_error_is_kept_of_success_and_failure(
    children: Children, code: int, letter: str
) -> None:
    text = f"begin{letter * 30_000}end"
    action = program(children, *shell(f"cat >&2; exit {code}"))
    ended = failure(action, a_call(text)) if code else action.run(a_call(text))
    assert ended.stderr == text[-MAX_STDERR_CHARS:]


def test_what_no_database_takes_in_standard_error_is_replaced(children: Children) -> None:
    done = program(children, *shell(r"printf 'a\000b\377c' >&2")).run(a_call())
    assert done.stderr == "a\ufffdb\ufffdc"


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (shell("exit 1"), Failure("exit code 1")),
        (
            shell("printf 'first\\nlast\\n\\n' >&2; exit 3"),
            Failure("exit code 3: last", stderr="first\nlast\n\n"),
        ),
        (
            shell("echo why >&2; kill -SEGV $$"),
            Failure(
                "the process was killed by SIGSEGV",
                Outcome.CRASHED,
                stderr="why\n",
                contained=True,
            ),
        ),
        (
            shell("kill -KILL $$"),
            Failure("the process was killed by SIGKILL", Outcome.CRASHED, contained=True),
        ),
        (
            shell("kill -40 $$"),
            Failure("the process was killed by signal 40", Outcome.CRASHED, contained=True),
        ),
    ],
)
def test_how_it_ended_is_what_the_attempt_came_to(
    children: Children, command: Sequence[str], expected: Failure
) -> None:
    assert failure(program(children, *command)) == expected


def test_exit_code_75_asks_for_later_and_each_time_for_later_still(children: Children) -> None:
    action = program(children, *shell("echo busy >&2; exit 75"))
    seconds = []
    for postponed in (0, 3):
        with pytest.raises(RetryLater, match=r"^exit code 75: busy$") as later:
            action.run(a_call(terms=Terms(postponed=postponed)))
        seconds.append(later.value.seconds)
    assert seconds == [TEMPFAIL_BACKOFF.delay_seconds(n, lambda: 0.5) for n in (1, 4)]


def test_it_gets_the_usual_variables_those_that_are_passed_and_what_is_said_of_the_task(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SECRET", "hunter2")
    monkeypatch.setenv("PASSED", "yes")
    monkeypatch.setenv("LANG", "C.UTF-8")
    monkeypatch.setenv("HOME", "/home")
    monkeypatch.delenv("LC_ALL", raising=False)
    monkeypatch.delenv("TZ", raising=False)
    setting = 'actions.env={command=["env"], pass_environment=["PASSED", "NOT_THERE"]}'
    call = a_call()
    with closing(Children()) as children:  # which takes the environment as it is now
        actions = load_actions(load(overrides=[setting], environ={}).settings, children)
        output = actions.run(call.claimed._replace(action="env"), call.slot).result
    assert dict(line.split("=", 1) for line in orjson.loads(output).splitlines()) == {
        "PATH": PATH,
        "HOME": "/home",
        "LANG": "C.UTF-8",
        "PASSED": "yes",
        "TASK_ID": "task",
        "TASK_ACTION": "env",
        "TASK_ATTEMPT": "2",
        "TASK_MAX_ATTEMPTS": "5",
        "TASK_QUEUE": "tasks",
    }


def test_it_runs_in_its_directory_or_where_the_service_runs(
    children: Children, tmp_path: Path
) -> None:
    there = program(children, "pwd", directory=str(tmp_path)).run(a_call())
    assert there.result == f'"{tmp_path}"'
    assert program(children, "pwd").run(a_call()).result == f'"{Path.cwd()}"'


def test_no_shell_reads_its_arguments(children: Children) -> None:
    words = ["a;b", "$(id)", "`id`", "*", "~", "|cat", ">x", "$HOME", '"', "'", "", " ", "\n", "-n"]
    code = "import json, sys; print(json.dumps(sys.argv[1:]))"
    done = program(children, *python(code, *words)).run(a_call())
    assert orjson.loads(done.result) == words


def test_it_leads_a_group_and_a_session_of_its_own(children: Children) -> None:
    code = "import os; print(len({os.getpgrp(), os.getsid(0), os.getpid()}))"
    assert program(children, *python(code)).run(a_call()).result == "1"


NICE = """
import os, sys
from task_queue.actors.actions.process.child import Children
os.nice(int(sys.argv[2]))  # once it has started, which takes too long so far behind all others
child = Children().start([sys.executable, "-S", "-c", sys.argv[1]], stdin=-1, stdout=-1)
out, _ = child.process.communicate(b"go on")
print(os.nice(0), out.decode())
child.kill()
"""


@pytest.mark.parametrize("niceness", [0, 10, 19])
def test_it_stands_back_behind_the_service_wherever_that_stands(niceness: int) -> None:
    inner = "import os, sys; sys.stdin.read(); print(os.nice(0))"
    command = [sys.executable, "-c", NICE, inner, str(niceness)]
    output = subprocess.run(command, check=True, capture_output=True, timeout=90).stdout
    own, its = map(int, output.split())
    assert its == min(19, own + NICENESS)


def test_only_what_it_needs_is_open_in_it(children: Children) -> None:
    with Path(os.devnull).open() as file:
        os.set_inheritable(file.fileno(), True)  # noqa: FBT003 - its only argument
        code = "import os; print(sorted(map(int, os.listdir('/proc/self/fd')))[:-1])"
        assert program(children, *python(code)).run(a_call()).result == "[0, 1, 2]"


# --- too much -------------------------------------------------------------------------------


def test_a_gigabyte_of_output_is_cut_off_in_bounded_memory(children: Children) -> None:
    action = program(children, *shell(f"echo why >&2; exec head -c {A_GIGABYTE} /dev/zero"))
    with at_most_mib(8):
        rejected = failure(action)
    assert rejected == Failure(
        f"the result has more bytes; execution.max_result_bytes is {MIB}",
        permanent=True,
        stderr="why\n",
    )


@pytest.mark.timeout(600)
@pytest.mark.parametrize("memory_limit_mib", [None, 100])
def test_a_gigabyte_of_standard_error_is_read_in_bounded_memory_and_time(
    children: Children, memory_limit_mib: int | None
) -> None:
    action = program(
        children,
        *shell(f"head -c {A_GIGABYTE} /dev/zero >&2; echo end >&2; echo 1"),
        memory_limit_mib=memory_limit_mib,
    )
    with at_most_mib(8):
        before = time.thread_time()
        done = action.run(a_call())
        assert time.thread_time() - before < 20.0
    assert done == Done("1", "\ufffd" * (MAX_STDERR_CHARS - 4) + "end\n")


@pytest.mark.parametrize("where", ["itself", "a program that it started"])
def test_a_program_that_takes_more_memory_than_it_may_is_killed(
    children: Children, where: str
) -> None:
    hog = python("b = bytearray(200 << 20); import signal; signal.pause()")
    command = hog if where == "itself" else shell('"$@"; true', *hog)
    killed = failure(program(children, *command, memory_limit_mib=100))
    assert re.fullmatch(
        r"killed by SIGKILL: it took \d{3} MiB; memory_limit_mib is 100", killed.error
    )
    assert (killed.outcome, killed.contained) == (Outcome.CRASHED, True)


# --- how it is ended ------------------------------------------------------------------------

DEAF = 'trap "" TERM; echo $$ >"$1"; exec sleep 1000'
GOES = 'trap "echo cleaned up >&2; exit 3" TERM; echo $$ >"$1"; sleep 1000 & wait'


def stop_by_cancel(call: Call) -> None:
    call.slot.stop = LEASE


def stop_by_timeout(call: Call) -> None:
    call.timeout_seconds = 0.05
    call.restart()


STOPS = [(stop_by_cancel, "cancelled"), (stop_by_timeout, "timed out after 0.05 s")]


@pytest.mark.parametrize(("stop", "error"), STOPS)
def test_a_program_that_has_to_stop_may_clean_up_and_is_waited_for(
    children: Children, ear: Ear, stop: Callable[[Call], None], error: str
) -> None:
    call = a_call()
    action = program(children, *shell(GOES, ear.path), kill_grace_seconds=20.0)
    with running(action, call) as future:
        pid = int(ear.hear())
        stop(call)
        began = time.monotonic()
        stopped = failure_in(future)
    outcome = Outcome.CANCELLED if error == "cancelled" else Outcome.TIMED_OUT
    assert stopped == Failure(error, outcome, stderr="cleaned up\n")
    assert is_over(pid)
    assert time.monotonic() - began < 10.0, "not the whole grace"


@pytest.mark.parametrize(("stop", "error"), STOPS)
def test_a_program_that_ignores_that_it_has_to_stop_is_killed_after_the_grace(
    children: Children, ear: Ear, stop: Callable[[Call], None], error: str
) -> None:
    call = a_call()
    action = program(children, *shell(DEAF, ear.path), kill_grace_seconds=0.3)
    with running(action, call) as future:
        pid = int(ear.hear())
        stop(call)
        began = time.monotonic()
        stopped = failure_in(future)
    assert stopped.error == error
    assert is_over(pid)
    assert 0.3 <= time.monotonic() - began < 5.0


def test_a_deadline_ends_a_program_that_reads_no_data_and_says_nothing(
    children: Children,
) -> None:
    began = time.monotonic()
    call = a_call(json.dumps({"x": "x" * MIB}), timeout_seconds=0.2)
    stopped = failure(program(children, "sleep", "1000"), call)
    assert (stopped.error, stopped.outcome) == ("timed out after 0.2 s", Outcome.TIMED_OUT)
    assert 0.2 <= time.monotonic() - began < 5.0


@pytest.mark.parametrize("ends", ["exit 0", "exit 1", "kill -KILL $$"])
def test_what_a_program_leaves_behind_is_gone_however_it_ends(
    children: Children, ear: Ear, ends: str
) -> None:
    action = program(children, *shell(f'sleep 1000 & echo $! >"$1"; {ends}', ear.path))
    with running(action, a_call()) as future:
        future.exception(30)  # though the other one holds its pipes
    wait_until_over(int(ear.hear()))


@pytest.mark.parametrize("group", ["", "setsid "])
@pytest.mark.parametrize("stop", [stop_by_cancel, stop_by_timeout])
def test_what_a_program_has_started_is_ended_with_it_even_if_it_left_the_group(
    children: Children, ear: Ear, group: str, stop: Callable[[Call], None]
) -> None:
    code = f'{group}sleep 1000 & echo $! >"$1"; wait'
    call = a_call()
    with running(program(children, *shell(code, ear.path)), call) as future:
        pid = int(ear.hear())
        assert not is_over(pid)
        stop(call)
        failure_in(future)
    wait_until_over(pid)


def test_closing_ends_what_runs_and_lets_nothing_start_any_more(
    children: Children, ear: Ear
) -> None:
    action = program(children, *shell(DEAF, ear.path))
    with ThreadPoolExecutor(5) as pool:
        futures = [pool.submit(action.run, a_call()) for _ in range(5)]
        pids = [int(ear.hear()) for _ in futures]
        children.close()
        assert all(is_over(pid) for pid in pids)
        killed = Failure("the process was killed by SIGKILL", Outcome.CRASHED, contained=True)
        assert [failure_in(future) for future in futures] == [killed] * 5
    with pytest.raises(UnavailableError, match="the server is shutting down"):
        action.run(a_call())


# --- what is wrong with it ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "directory", "problem"),
    [
        ("no-such-program", None, "the program 'no-such-program' is not there"),
        ("{}/nothing", None, "the program '{}/nothing' is not there"),
        ("{}/text", None, "the program '{}/text' is not there, or cannot be executed"),
        ("./text", "{}", "the program './text' is not there, or cannot be executed"),
        ("./program", None, "the program './program' is not there"),
        ("sh", "{}/nothing", "the directory '{}/nothing' is not there"),
        ("sh", "{}/text", "the directory '{}/text' is not there"),
    ],
)
def test_a_program_that_cannot_be_started_is_found_out_when_it_is_loaded(
    children: Children, tmp_path: Path, command: str, directory: str | None, problem: str
) -> None:
    (tmp_path / "text").write_text("")
    (tmp_path / "program").write_text("#!/bin/sh\n")
    (tmp_path / "program").chmod(0o755)
    here = directory and directory.format(tmp_path)
    with pytest.raises(ActionLoadError) as refused:
        program(children, command.format(tmp_path), directory=here)
    assert str(refused.value).startswith(problem.format(tmp_path))


def test_a_program_is_looked_for_in_its_own_path_and_directory(
    children: Children, tmp_path: Path
) -> None:
    (tmp_path / "mine").write_text("#!/bin/sh\necho 1\n")
    (tmp_path / "mine").chmod(0o755)
    by_path = program(children, "mine", environment={"PATH": f"{tmp_path}:{PATH}"})
    by_directory = program(children, "./mine", directory=str(tmp_path))
    assert [each.run(a_call()).result for each in (by_path, by_directory)] == ["1", "1"]


def test_a_program_that_has_gone_since_it_was_loaded_is_a_clear_failure(
    children: Children, tmp_path: Path
) -> None:
    path = tmp_path / "mine"
    path.write_text("no program")
    path.chmod(0o755)
    action = program(children, str(path))
    begins = f"'{path}' cannot be started: "
    no_script = "Exec format error (a script begins with a line such as #!/bin/sh)"
    assert failure(action) == Failure(f"{begins}{no_script}")
    gone = "No such file or directory (itself, its folder, or what a script's first line names)"
    path.write_text("#!/no/such/interpreter")
    assert failure(action) == Failure(f"{begins}{gone}")
    path.unlink()
    assert failure(action) == Failure(f"{begins}{gone}")


def test_fifty_runs_leave_no_descriptor_and_no_process_behind(children: Children) -> None:
    commands = [["true"], ["cat"], ["false"], shell("sleep 1000 & exit 0"), ["sleep", "1000"]]
    actions = [program(children, *each) for each in commands]
    failure(actions[-1], a_call(timeout_seconds=0.01))
    gc.collect()  # what former tests have left may hold descriptors
    others = psutil.Process().children()
    before = sorted(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names
    for _ in range(10):
        for action in actions[:3]:
            try:
                action.run(a_call())
            except Ended:
                assert action is actions[2]
        actions[3].run(a_call())
        failure(actions[4], a_call(timeout_seconds=0.01))
    assert sorted(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
    assert psutil.Process().children() == others


class Taken(Children):
    """Somebody in the same process waits for all of them."""

    def __init__(self, *, before_it_is_watched: bool) -> None:
        super().__init__()
        self._is_before = before_it_is_watched

    def start(self, command: Sequence[str], **options: Any) -> Child:  # noqa: ANN401 - those of `Popen`
        if not self._is_before:
            child = super().start(command, **options)
            os.waitpid(child.process.pid, 0)
            return child
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "pidfd_open", _taken)
            return super().start(command, **options)


def _taken(process: int) -> int:
    os.waitpid(process, 0)
    raise ProcessLookupError


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="Linux has it")
@pytest.mark.parametrize("before_it_is_watched", [True, False])
def test_a_program_that_somebody_else_has_waited_for_is_not_taken_for_done(
    *, before_it_is_watched: bool
) -> None:
    with closing(Taken(before_it_is_watched=before_it_is_watched)) as children:
        action = program(children, "sh", "-c", "echo said >&2; exit 3")
        with pytest.raises(Ended) as ended:
            action.run(a_call())
    failure = ended.value.failure
    assert failure.outcome is Outcome.CRASHED
    assert failure.error.startswith("how the process ended is not known")
    assert failure.stderr == "said\n"


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="Linux has it")
def test_a_program_that_cannot_be_watched_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[int] = []

    def none_left(process: int) -> int:
        started.append(process)
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(os, "pidfd_open", none_left)
    gc.collect()  # what other tests have left
    before = len(list(Path("/proc/self/fd").iterdir()))
    with closing(Children()) as children:
        with pytest.raises(Ended) as ended:
            program(children, "sleep", "600").run(a_call())
        assert children.count == 0
    assert ended.value.failure.error == "'sleep' cannot be started: Too many open files"
    assert not psutil.pid_exists(started[0])
    assert len(list(Path("/proc/self/fd").iterdir())) == before, "nor is a pipe of it left"
