"""`task-queue run`: one action as the service runs it, and what is shown of it where."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from task_queue.actors.actions.context import Context
from task_queue.actors.errors import Reject, RetryLater
from tests.harness import DEADLINE_SECONDS, ROOT, Gate, eventually

pytestmark = pytest.mark.system

Data = dict[str, Any]
Result = subprocess.CompletedProcess[str]
Run = Callable[..., Result]
Start = Callable[..., "subprocess.Popen[str]"]

AS_INSTALLED = {"PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1", "PYTHONUNBUFFERED": ""}
"""Modules are not looked for where it is started, and output to a pipe is buffered."""
STUBBORN = """
import os, signal, time
signal.signal(signal.SIGTERM, lambda *_: open("asked", "w").close())
os.fork()
open(str(os.getpid()), "w").close()
time.sleep(600)
"""
STAYS = [sys.executable, "-c", STUBBORN]
"""A program of two processes that write files by their ids, and another one when asked to end."""
PATIENT = ("--set", "execution.kill_grace_seconds=60")
"""For actions that do end when asked to, however long they take for it."""


# --- actions --------------------------------------------------------------------------------


@dataclass
class Size:
    width: int


def resize(data: Size) -> int:
    return data.width


def say(data: Data, context: Context) -> Data:
    print("printed")
    context.log.info("logged", number=1)
    return data


def prints_an_umlaut(_data: Data) -> str:
    print("ä")
    return "ä"


def own_process(_data: Data) -> int:
    print("printed")
    return os.getpid()


def reports(data: Data, context: Context) -> None:
    """Report the same thing before and after the pipe `data.fifo` is written to."""
    context.progress(0.12, "row 3 of 25")
    Path(data["fifo"]).read_text()
    context.progress(0.12, "row 3 of 25")


def reports_and_ends(_data: Data, context: Context) -> None:
    context.progress(1)


def fails(_data: Data) -> None:
    raise ValueError("on\npurpose")


def rejects(_data: Data) -> None:
    raise Reject("never")


def asks_for_later(data: Data) -> None:
    raise RetryLater(60, data.get("reason", ""))


def exits(_data: Data) -> None:
    raise SystemExit(3)


def dies(_data: Data) -> None:
    os._exit(17)


def hangs(data: Data) -> None:
    print("printed")
    Path(data["fifo"]).read_text()


async def waits(data: Data) -> None:
    """Wait for ever, and clean up."""
    touch(data["begun"])
    try:
        await asyncio.Event().wait()
    finally:
        touch(data["cleaned_up"])


async def waits_for_ctrl_c_at_once(data: Data) -> None:
    """Have the signal come as soon as it can, and do as the one above."""
    os.kill(os.getpid(), signal.SIGINT)
    await waits(data)


async def hangs_elsewhere(data: Data) -> None:
    """Wait for a thread that nobody can stop, and which Python waits for before it ends."""
    await asyncio.to_thread(hangs, data)


def touch(name: str) -> None:
    Path(name).touch()


# --- running them ---------------------------------------------------------------------------


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts `task-queue run` in a directory of its own, with actions of this module by name."""
    started: list[subprocess.Popen[str]] = []

    def task_queue_run(
        action: str, data: object = None, *options: str, **actions: str
    ) -> "subprocess.Popen[str]":
        given = [] if data is None else ["--data", data if isinstance(data, str) else to_json(data)]
        overrides = [
            part for name, text in actions.items() for part in ("--set", f"actions.{name}={text}")
        ]
        process = subprocess.Popen(
            [sys.executable, "-m", "task_queue", "run", action, *given, *options, *overrides],
            cwd=tmp_path,
            env={**os.environ, **AS_INSTALLED},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield task_queue_run
    for process in started:
        if process.poll() is None:
            process.kill()
        with process:
            pass


@pytest.fixture
def run(start: Start) -> Run:
    """The same, and waits until it ends."""

    def task_queue_run(action: str, data: object = None, *options: str, **actions: str) -> Result:
        return ended(start(action, data, *options, **actions))

    return task_queue_run


def ended(process: "subprocess.Popen[str]") -> Result:
    output, errors = process.communicate(timeout=DEADLINE_SECONDS)
    return Result(process.args, process.returncode, output, errors)


def to_json(data: object) -> str:
    return json.dumps(data)


def here(function: Callable[..., Any], **options: object) -> str:
    """The settings of an action that is in this module."""
    return toml(python=f"{__name__}:{function.__name__}", **options)


IGNORANT = """
import os, signal, sys
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""
"""Starts Python as some that start services do: it is not told of processes that have ended."""


def toml(**keys: object) -> str:
    return f"{{{', '.join(f'{key} = {to_json(value)}' for key, value in keys.items())}}}"


def gone(process: int) -> bool:
    """Whether it is over, also if whoever inherited it has not noticed yet."""
    try:
        return psutil.Process(process).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def processes_in(directory: Path) -> list[int]:
    """The ids by which `STAYS` has written files there."""
    return [int(path.name) for path in directory.iterdir() if path.name.isdigit()]


@contextmanager
def all_are_gone_afterwards(process: "subprocess.Popen[str]", directory: Path) -> Iterator[None]:
    """Waits until the program `STAYS` is at work, and sees to it that it is not in the end."""

    def both() -> list[int]:
        assert process.poll() is None, process.communicate()
        found = processes_in(directory)
        return found if len(found) == 2 else []

    found = eventually(both, "both processes are at work")
    assert not any(map(gone, found))
    yield
    eventually(lambda: all(map(gone, found)), "both processes are gone")


# --- what it is done with -------------------------------------------------------------------


def test_the_result_is_a_line_on_standard_output_and_nothing_is_left(
    run: Run, tmp_path: Path
) -> None:
    result = run("sum", {"numbers": [1, 2]})
    assert (result.returncode, result.stdout, result.stderr) == (0, '{"output":3}\n', "")
    assert list(tmp_path.iterdir()) == []


def test_a_result_is_utf_8_wherever_it_goes(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "latin-1")
    result = run("uppercase", '{"text": "ä"}')
    assert (result.returncode, result.stdout) == (0, '{"output":"Ä"}\n')


def test_an_action_may_print_what_the_terminal_cannot_show(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    result = run("mine", mine=here(prints_an_umlaut))
    assert (result.returncode, result.stdout) == (0, '\\xe4\n"ä"\n')


def test_modules_are_found_where_it_is_started(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def run(data):\n    return data\n")
    (tmp_path / "mine.toml").write_text('[actions]\nmine = "mine:run"\n')
    result = run("mine", {"n": 1}, "--config", "mine.toml")
    assert (result.returncode, result.stdout) == (0, '{"n":1}\n')


def test_what_an_action_prints_goes_to_standard_output_and_its_log_to_standard_error(
    run: Run,
) -> None:
    result = run("say", {"n": 1}, say=here(say))
    assert (result.returncode, result.stdout) == (0, 'printed\n{"n":1}\n')
    line = json.loads(result.stderr)
    assert (line["event"], line["number"], line["action"]) == ("logged", 1, "say")


def test_the_level_of_the_log_is_that_of_the_settings(run: Run) -> None:
    assert run("say", {}, "--set", "log.level=WARNING", say=here(say)).stderr == ""


def test_an_action_in_a_process_prints_as_any_other_and_its_process_is_gone(run: Run) -> None:
    result = run("mine", mine=here(own_process, execution="process"))
    assert (result.returncode, result.stderr) == (0, "")
    printed, process = result.stdout.splitlines()
    assert printed == "printed"
    eventually(lambda: gone(int(process)), "its process is gone")


def test_a_program_gets_the_data_and_its_complaints_go_to_standard_error(run: Run) -> None:
    program = toml(command=["sh", "-c", "cat; echo careful >&2"])
    result = run("mine", {"n": 1}, mine=program)
    assert (result.returncode, result.stdout, result.stderr) == (0, '{"n":1}\n', "careful\n")


def test_how_a_program_ended_is_known_also_if_nobody_is_told_of_processes(tmp_path: Path) -> None:
    program = toml(command=["sh", "-c", "cat"])
    command = ["-m", "task_queue", "run", "mine", "--set", f"actions.mine={program}"]
    process = subprocess.Popen(
        [sys.executable, "-c", IGNORANT, *command, "--data", '{"a": 1}'],
        cwd=tmp_path,
        env={**os.environ, **AS_INSTALLED},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    result = ended(process)
    assert (result.returncode, result.stdout, result.stderr) == (0, '{"a":1}\n', "")


def test_progress_is_shown_when_it_changes(start: Start, tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    process = start("mine", {"fifo": str(gate.path)}, mine=here(reports))
    assert process.stderr is not None
    assert process.stderr.readline() == "12 %  row 3 of 25\n"
    gate.open()
    result = ended(process)
    # What is reported last is looked at in any case.
    assert (result.returncode, result.stdout, result.stderr) == (0, "null\n", "")


def test_the_last_progress_of_an_action_that_ends_at_once_is_shown(run: Run) -> None:
    assert run("mine", mine=here(reports_and_ends)).stderr == "100 %\n"


# --- what is refused ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "data", "options", "complaint"),
    [
        ("size", None, [], "action 'size' is not known; known: sum, uppercase"),
        ("sum", "{", [], "--data is not valid JSON: "),
        ("sum", "@order.json", [], "--data is not valid JSON: "),
        ("sum", "", [], "--data is empty; it must be a JSON object"),
        ("sum", "[1]", [], "data must be a JSON object, not [1]"),
        ("sum", '{"numbers": [99999999999999999999]}', [], "the integer 99999999999999999999 "),
        ("sum", None, ["--timeout", "0"], "timeout_seconds must be a number above 0 and up to "),
        ("sum", None, ["--set", "http.port=x"], "http.port = x (from --set): must be "),
    ],
)
def test_what_cannot_be_run_is_one_clear_line_and_exits_with_2(
    run: Run, action: str, data: str | None, options: list[str], complaint: str
) -> None:
    result = run(action, data, *options)
    assert (result.returncode, result.stdout) == (2, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"task-queue: {complaint}")
    assert ("$(cat FILE)" in line) == (data == "@order.json")


def test_data_that_the_action_does_not_take_is_refused_before_it_runs(run: Run) -> None:
    result = run("resize", {"width": "x"}, resize=here(resize))
    assert (result.returncode, result.stdout) == (2, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith("task-queue: data.width: ")
    assert line.endswith(', not "x"')


def test_an_action_that_cannot_be_imported_is_one_clear_line(run: Run) -> None:
    result = run("mine", mine='"no_such_module:run"')
    assert (result.returncode, result.stdout) == (1, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith("task-queue: actions.mine = 'no_such_module:run' cannot be imported: ")


# --- what fails -----------------------------------------------------------------------------


@pytest.mark.parametrize("execution", ["thread", "process"])
def test_an_error_is_a_line_and_the_traceback_of_the_action_alone(run: Run, execution: str) -> None:
    result = run("mine", mine=here(fails, execution=execution))
    assert (result.returncode, result.stdout) == (1, "")
    line, title, where, _, *rest = result.stderr.splitlines()
    assert line == "task-queue: ValueError: on purpose"
    assert title == "Traceback (most recent call last):"
    assert where.endswith("in fails")
    assert rest[-2:] == ["ValueError: on", "purpose"]


@pytest.mark.parametrize(
    ("action", "complaint"),
    [
        (here(rejects), "never"),
        (here(exits), "SystemExit: 3"),
        (here(dies, execution="process"), "the process ended with exit code 17"),
        (toml(command=["sh", "-c", "kill -9 $$"]), "the process was killed by SIGKILL"),
    ],
)
def test_whatever_else_an_action_fails_with_exits_with_1(
    run: Run, action: str, complaint: str
) -> None:
    result = run("mine", mine=action)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.splitlines()[0] == f"task-queue: {complaint}"


def test_what_a_program_complained_of_is_below_the_line(run: Run) -> None:
    result = run("mine", mine=toml(command=["sh", "-c", "echo one >&2; echo two >&2; exit 3"]))
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == "task-queue: exit code 3: two\none\ntwo\n"


def test_a_result_that_is_too_long_is_refused_as_in_the_service(run: Run) -> None:
    result = run(
        "say", {"text": "x" * 1024}, "--set", "execution.max_result_bytes=1024", say=here(say)
    )
    assert (result.returncode, result.stdout) == (1, "printed\n")
    assert "task-queue: the result has 1035 bytes; execution.max_result_bytes is" in result.stderr


@pytest.mark.parametrize("execution", ["thread", "process"])
@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        ({}, "asked to be run again in 60 s"),
        ({"reason": "busy"}, "asked to be run again in 60 s: busy"),
    ],
)
def test_an_action_that_asks_for_later_exits_with_75(
    run: Run, execution: str, data: Data, complaint: str
) -> None:
    result = run("mine", data, mine=here(asks_for_later, execution=execution))
    assert (result.returncode, result.stdout) == (75, "")
    assert result.stderr == f"task-queue: {complaint}\n"


def test_a_program_that_asks_for_later_exits_with_75(run: Run) -> None:
    result = run("mine", mine=toml(command=["sh", "-c", "echo busy >&2; exit 75"]))
    assert result.returncode == 75
    assert result.stderr.startswith("task-queue: asked to be run again in ")
    assert result.stderr.endswith(" s: exit code 75: busy\n")


# --- what does not end ----------------------------------------------------------------------


def test_the_timeout_given_comes_before_the_actions_own(run: Run, tmp_path: Path) -> None:
    data = {"begun": "begun", "cleaned_up": "cleaned_up"}
    action = here(waits, timeout_seconds=3000)
    result = run("mine", data, "--timeout", "0.2", *PATIENT, mine=action)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("task-queue: timed out after 0.2 s\n")
    assert (tmp_path / "cleaned_up").exists()


def test_a_program_that_takes_too_long_is_gone_with_all_it_has_started(
    start: Start, tmp_path: Path
) -> None:
    process = start("mine", None, "--timeout", "3", mine=toml(command=STAYS))
    with all_are_gone_afterwards(process, tmp_path):
        result = ended(process)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == "task-queue: timed out after 3 s\n"


def test_a_thread_that_hangs_is_named_with_where_it_does_and_the_process_ends(
    run: Run, tmp_path: Path
) -> None:
    gate = Gate(tmp_path)
    result = run(
        "mine",
        {"fifo": str(gate.path)},
        *("--timeout", "0.2"),
        mine=here(hangs),
    )
    assert (result.returncode, result.stdout) == (1, "printed\n")
    assert result.stderr.startswith("task-queue: timed out after 0.2 s, and did not stop\n")
    assert ", in hangs\n" in result.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_with_all_processes_of_the_action(
    start: Start,
    tmp_path: Path,
    number: signal.Signals,
    code: int,
) -> None:
    process = start("mine", mine=toml(command=STAYS))
    with all_are_gone_afterwards(process, tmp_path):
        process.send_signal(number)
        result = ended(process)
    assert (result.returncode, result.stdout, result.stderr) == (code, "", "")


def test_a_second_ctrl_c_does_not_wait_for_the_grace(start: Start, tmp_path: Path) -> None:
    process = start("mine", None, *PATIENT, mine=toml(command=STAYS))
    with all_are_gone_afterwards(process, tmp_path):
        process.send_signal(signal.SIGINT)
        eventually((tmp_path / "asked").exists, "the program is asked to end")
        process.send_signal(signal.SIGINT)
        result = ended(process)
    assert (result.returncode, result.stdout, result.stderr) == (130, "", "")


def test_ctrl_c_lets_an_action_clean_up_that_hears_of_it(start: Start, tmp_path: Path) -> None:
    data = {"begun": "begun", "cleaned_up": "cleaned_up"}
    process = start("mine", data, *PATIENT, mine=here(waits))
    eventually((tmp_path / "begun").exists, "it runs")
    process.send_signal(signal.SIGINT)
    assert ended(process).returncode == 130
    assert (tmp_path / "cleaned_up").exists()


def test_ctrl_c_as_soon_as_the_action_runs_lets_it_clean_up(start: Start, tmp_path: Path) -> None:
    data = {"begun": "begun", "cleaned_up": "cleaned_up"}
    process = start("mine", data, *PATIENT, mine=here(waits_for_ctrl_c_at_once))
    assert ended(process).returncode == 130
    assert (tmp_path / "cleaned_up").exists()


def test_ctrl_c_ends_a_thread_that_does_not_hear_of_it(start: Start, tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    process = start("mine", {"fifo": str(gate.path)}, mine=here(hangs_elsewhere))
    with gate.held():
        process.send_signal(signal.SIGINT)
        result = ended(process)
    assert (result.returncode, result.stdout, result.stderr) == (130, "printed\n", "")
