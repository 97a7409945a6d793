"""Actions that tests run in processes, and how a test hears of a process and sees its end."""

import asyncio
import contextlib
import ctypes
import logging
import os
import select
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, Self

import structlog

from task_queue.actors.actions.context import Context
from task_queue.actors.errors import Cancelled, Reject, RetryLater

DEADLINE_SECONDS = 30.0


class Ear:
    """A named pipe at which a test hears, line by line, what a process writes there."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "ear.fifo"
        os.mkfifo(self.path)
        self._pipe = os.open(self.path, os.O_RDWR)  # to write as well: so it never ends
        self._heard = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        os.close(self._pipe)

    def hear(self) -> str:
        """The next line, as soon as it is there."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while b"\n" not in self._heard:
            left = max(0.0, deadline - time.monotonic())
            assert select.select([self._pipe], [], [], left)[0], f"nothing within {left:g} s"
            self._heard += os.read(self._pipe, 65_536)
        line, _, self._heard = self._heard.partition(b"\n")
        return line.decode()


def is_over(process: int) -> bool:
    """Whether there is no such process, or a dead one that only waits to be buried."""
    try:
        status = Path(f"/proc/{process}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True
    return status.rpartition(")")[2].split()[0] in {"Z", "X"}


Data = dict[str, Any]


class Unspeakable(Exception):  # noqa: N818 - an action may call it so
    """Cannot be shown, nor sent to another process."""

    def __init__(self) -> None:
        self.lock = threading.Lock()

    def __str__(self) -> str:
        raise ZeroDivisionError


@dataclass
class Size:
    width: int


kept: list[bytearray] = []
"""What an action does not let go of."""


def say(data: Data, line: object) -> None:
    with Path(data["ear"]).open("w") as pipe:
        pipe.write(f"{line}\n")


def wait() -> NoReturn:
    """Wait until a signal comes, for ever."""
    while True:
        threading.Event().wait()


# --- what comes back ------------------------------------------------------------------------


def echo(data: Data) -> Data:
    return data


def double(data: Size) -> int:
    return data.width * 2


async def later(data: Data) -> Any:  # noqa: ANN401
    await asyncio.sleep(0)
    return data["value"]


def about(_data: Data, task: Context) -> Data:
    """What the task is told of itself."""
    return {
        "id": task.id,
        "queue": task.queue,
        "action": task.action,
        "attempt": task.attempt,
        "max_attempts": task.max_attempts,
        "seconds": task.deadline and task.deadline - time.time(),
    }


def process(_data: Data) -> Data:
    """What is known of the process."""
    return {
        "pid": os.getpid(),
        "nice": os.nice(0),
        "cores": sorted(os.sched_getaffinity(0)),
    }


def returns(data: Data) -> object:
    """Return what cannot be kept."""
    values = {"long": "x" * 10_000_000, "nan": [float("nan")], "bytes": {"files": [b"x"]}}
    return values[data["what"]]


# --- what is said meanwhile -----------------------------------------------------------------


def report(data: Data, task: Context) -> None:
    """Report a step, wait until the test opens the gate, and report another."""
    task.progress(0.5, "half")
    Path(data["gate"]).read_text()
    task.progress(1.0, "done")


def log(_data: Data, task: Context) -> None:
    task.log.info("resized", width=640, size=Size(2))
    task.log.warning("strange", number=2**70, text="\ud800", one={1}, width=640)
    structlog.get_logger(self=3, id=task.id).info(None)
    try:
        raise ValueError("caught")  # noqa: TRY301 - to have one
    except ValueError:
        structlog.get_logger().exception("failed")


def write_in_every_way(data: Data) -> None:
    print("printed")
    sys.stderr.write("error\n")
    os.write(1, b"descriptor\n")
    subprocess.run(["echo", "a program's"], check=True)
    thread = threading.Thread(target=print, args=("thread",))
    thread.start()
    thread.join()
    if data["how"] == "exit":
        os._exit(3)
    if data["how"] == "hang":
        say(data, "written")
        wait()


def print_later(data: Data) -> None:
    def wait() -> None:
        threading.Event().wait(0.2)  # until after the answer, most likely; before it is as good
        print("late")
        with Path(data["ear"]).open("w") as ear:
            ear.write("printed\n")

    threading.Thread(target=wait, daemon=True).start()


def log_by_logging(_data: Data) -> None:
    logging.getLogger("mine").warning("seen %s", 5)
    try:
        _ = 1 / 0
    except ZeroDivisionError:
        logging.getLogger("mine").exception("failed")


def print_and_close(data: Data) -> None:
    print(data["text"])
    sys.stdout.close()


def print_a_file_name(_data: Data) -> None:
    print(os.fsdecode(b"caf\xe9"))


# --- how it fails ---------------------------------------------------------------------------


def fail(data: Data) -> NoReturn:
    raise {
        "error": ValueError("on purpose"),
        "reject": Reject("never"),
        "later": RetryLater(7.5, "not yet"),
        "unspeakable": Unspeakable(),
        "exit": SystemExit(3),
        "interrupt": KeyboardInterrupt("^C"),
        "cancelled": Cancelled("by itself"),
    }[data["how"]]


def die(data: Data) -> None:
    """Take the process down."""
    match data["how"]:
        case "exit":
            os._exit(17)
        case "segfault":
            ctypes.string_at(0)
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "close":
            os.closerange(3, 256)
            wait()


# --- how it is ended ------------------------------------------------------------------------


def send_half_a_message(_data: Data) -> None:
    """Do to the line to the service what a process does that is stopped while it sends."""
    os.write(int(sys.argv[2]), b"\0\0\0\x09{")
    time.sleep(60)


def clean_up(data: Data, task: Context) -> None:
    """Wait; at the end say whether it was known that somebody asked for it."""
    say(data, os.getpid())
    try:
        wait()
    finally:
        say(data, f"cleaned up, {task.cancelled}")


async def clean_up_later(data: Data, task: Context) -> None:
    """The same, in an event loop."""
    say(data, os.getpid())
    try:
        await asyncio.Event().wait()
    finally:
        say(data, f"cleaned up, {task.cancelled}")


async def clean_up_and_hear_of_it_again(data: Data) -> None:
    """Wait; be told by a signal as well while cleaning up."""
    try:
        await asyncio.Event().wait()
    finally:
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(0)
        say(data, "cleaned up")


def compute(data: Data, task: Context) -> None:
    """Never wait, and seldom let other threads of the process run."""
    sys.setswitchinterval(0.1)
    say(data, os.getpid())
    try:
        while True:
            sum(range(1000))
    finally:
        say(data, f"cleaned up, {task.cancelled}")


def log_for_ever(data: Data, task: Context) -> None:
    """Keep the line to the parent busy."""
    say(data, os.getpid())
    number = 0
    try:
        while True:
            number += 1
            task.log.info("step", number=number)
    finally:
        say(data, f"cleaned up, {task.cancelled}")


def refuse(data: Data) -> None:
    """Do not end when asked to."""
    say(data, os.getpid())
    while True:
        with contextlib.suppress(BaseException):
            wait()


def ignore(data: Data) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    say(data, os.getpid())
    wait()


def hold(data: Data) -> None:
    """Keep the interpreter for itself, so that no other thread of the process runs."""
    say(data, os.getpid())
    library, mutex = ctypes.PyDLL(None), ctypes.create_string_buffer(64)
    for _ in range(2):  # the second time for ever, whatever signals come
        library.pthread_mutex_lock(mutex)


# --- what it leaves behind ------------------------------------------------------------------


def spawn(data: Data) -> list[int]:
    """Start other processes, and end, or wait."""
    command = ["sleep", "1000"]
    others = [
        subprocess.Popen(command, start_new_session=new, close_fds=False) for new in (False, True)
    ]
    say(data, os.getpid())
    if data["waits"]:
        for each in others:
            say(data, each.pid)
        wait()
    return [each.pid for each in others]


def fork(_data: Data) -> str:
    """Return twice."""
    if (pid := os.fork()) == 0:
        return "the fork"
    return f"the fork ended with {os.waitpid(pid, 0)[1]}"


def grow(data: Data) -> int:
    """Take memory, and keep it."""
    kept.append(bytearray(data["mib"] << 20))
    return os.getpid()


def hog(data: Data) -> None:
    """Take memory, and wait."""
    grow(data)
    wait()


def hang(data: Data, task: Context) -> int:
    """Wait at the gate, in the first attempt."""
    if task.attempt == 1:
        Path(data["gate"]).read_text()
    return task.attempt


def spin(data: Data) -> None:
    """Compute until there is such a file."""
    while not Path(data["until"]).exists():
        sum(range(100_000))


def print_and_log_in_turns(data: dict[str, int], task: Context) -> None:
    """Print on both streams, and log in both ways, many times and without a pause."""
    for number in range(data["times"]):
        print("printed", number, "caf\u00e9")
        task.log.info("logged", number=number)
        print("error", number, end="", file=sys.stderr)
        logging.getLogger("mine").warning("warned %d", number)
    print("the end")
