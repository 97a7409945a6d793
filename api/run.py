"""`task-queue run`: one action, here and now, without server, database and queue."""

import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import Future, wait
from contextlib import closing, contextmanager
from types import FrameType
from typing import NoReturn

import orjson
from uuid_utils import uuid7

from task_queue.actors.actions.action import Done
from task_queue.actors.actions.call import SLICE_SECONDS
from task_queue.actors.actions.load import END_SECONDS, load_actions
from task_queue.actors.actions.process.child import Children, hear_of_children
from task_queue.actors.actions.program import EX_TEMPFAIL
from task_queue.actors.actions.registry import Registry
from task_queue.actors.errors import InvalidDataError, RetryLater
from task_queue.actors.tasks.claim import ClaimedTask, Lease, Terms
from task_queue.actors.tasks.failures import MAX_FRAMES, failure_of
from task_queue.actors.tasks.new import QUEUE
from task_queue.actors.tasks.settlement import Failure
from task_queue.actors.tasks.slot import Slot
from task_queue.actors.tasks.states import Outcome
from task_queue.actors.tasks.text import unknown
from task_queue.api.json_codec import InvalidJSONError, parse
from task_queue.api.requests.bodies import publish_body
from task_queue.api.responses.errors import InvalidRequestError
from task_queue.api.standard_streams import say
from task_queue.config.settings import Settings


class UsageError(Exception):
    """Nothing can be run with these arguments; the text is one line."""


class _Stopped(BaseException):
    """A signal came.

    Attributes:
        number: Which one.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def run(settings: Settings, action: str, data: str, timeout_seconds: float | None) -> int:
    """Run an action as the service would, and show on standard output what it returns.

    Everything else about it goes to standard error. The first Ctrl-C or SIGTERM asks it to stop, as
    a cancel does; what has not stopped after its grace is ended.

    Args:
        settings: All of them.
        action: Its name.
        data: Its data, a JSON object as text.
        timeout_seconds: How long it may take; None: as its settings have it.

    Returns:
        The process's exit code: 0 if it is done, 1 if it failed, 75 if it asked to be run again
        later, 128 and the signal's number if it was stopped.

    Raises:
        UsageError: There is no such action, or it does not take this data.
        ActionLoadError: An action of the settings cannot be used.
    """
    children = Children()
    actions = load_actions(settings, children)
    hear_of_children()
    claimed, slot = _claimed(actions, action, data, timeout_seconds), Slot(QUEUE)
    ended: Future[Done] = Future()
    thread = threading.Thread(target=_work, args=(actions, claimed, slot, ended), daemon=True)
    try:
        with _signals_are_raised(), closing(children):
            try:
                thread.start()  # it may run before this returns
                outcome = _outcome(thread, claimed.lease, slot, ended)
            except _Stopped:
                slot.stop = claimed.lease
                to_end_them = END_SECONDS if children.count else 0.0
                wait([ended], settings.execution.kill_grace_seconds + to_end_them)
                raise
    except _Stopped as stopped:
        code = 128 + stopped.number  # the shell's convention for death by signal
    else:
        code = _shown(outcome)
    if not ended.done():
        _leave(code)
    return code


def _claimed(
    actions: Registry, action: str, data: str, timeout_seconds: float | None
) -> ClaimedTask:
    """Return the task, checked as a publish is.

    Raises:
        UsageError: It would be refused.
    """
    if action not in actions.names:  # one that only the fallback knows is a typing error here
        raise UsageError(unknown("action", action, actions.published))
    if actions.is_external(action):
        raise UsageError(f"the action {action!r} is done by workers over HTTP, not here")
    try:
        body = publish_body(
            {
                "action": action,
                "data": parse(os.fsencode(data)),
                "timeout_seconds": timeout_seconds,
            }
        )
        text = orjson.dumps(body.data or {}).decode()
        actions.check(action, text)
    except InvalidJSONError as error:
        hint = '; a file is given as "$(cat FILE)"' if data.startswith("@") else ""
        raise UsageError(str(error).replace("the body", "--data") + hint) from error
    except InvalidRequestError as error:
        raise UsageError(error.detail) from error
    except InvalidDataError as error:
        raise UsageError(str(error)) from error
    lease, terms = Lease(str(uuid7()), 0), Terms(timeout_seconds=timeout_seconds)
    return ClaimedTask(lease, action, text, attempt=1, max_attempts=1, terms=terms)


@contextmanager
def _signals_are_raised() -> Iterator[None]:
    """Raise `_Stopped` in the main thread at SIGINT and SIGTERM; afterwards they just kill."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    try:
        for number in numbers:
            signal.signal(number, _on_signal)
        yield
    finally:
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)


def _on_signal(number: int, _frame: FrameType | None) -> NoReturn:
    raise _Stopped(number)


def _work(actions: Registry, claimed: ClaimedTask, slot: Slot, ended: "Future[Done]") -> None:
    """Run the action in this thread, which does nothing else: it may never return."""
    try:
        ended.set_result(actions.run(claimed, slot))
    except BaseException as error:  # noqa: BLE001 - the action's failure, whatever it is
        where = error.__traceback__
        ended.set_exception(error.with_traceback(where and where.tb_next))  # without this function


def _outcome(
    thread: threading.Thread, lease: Lease, slot: Slot, ended: "Future[Done]"
) -> Done | Failure:
    """Wait for the outcome; show the progress that is reported meanwhile.

    Raises:
        _Stopped: A signal came.
    """
    shown = ""
    while True:
        is_over = bool(wait([ended], SLICE_SECONDS).done)
        if (progress := slot.take_progress(lease)) is not None:
            _, fraction, message = progress
            line = f"{fraction * 100:.0f} %  {message or ''}".rstrip()
            if line != shown:
                shown = line
                sys.stderr.write(f"{line}\n")
        if is_over:
            break
        if slot.is_overdue(lease, time.monotonic()):
            text = f"timed out after {slot.timeout_seconds:g} s, and did not stop"
            return Failure(text, Outcome.TIMED_OUT, traceback=_stack(thread))
    error = ended.exception()
    return ended.result() if error is None else failure_of(error, None, asked_to_stop=False)


def _stack(thread: threading.Thread) -> str:
    """Return where the thread is now: its innermost frames."""
    frame = sys._current_frames().get(thread.ident or 0)  # noqa: SLF001 - documented, for such a use
    return "".join(traceback.format_stack(frame)[-MAX_FRAMES:]) if frame else ""


def _shown(outcome: Done | Failure) -> int:
    """Show the outcome; return the exit code."""
    if isinstance(outcome, Done):
        sys.stderr.write(outcome.stderr or "")
        say(f"{outcome.result}".encode())  # UTF-8 wherever it goes
        return 0
    line, seconds = outcome.error.replace("\n", " "), outcome.retry_after
    if seconds is not None:
        reason = "" if line == str(RetryLater(seconds)) else f": {line}"
        line = f"asked to be run again in {seconds:g} s{reason}"
    sys.stderr.write(f"task-queue: {line}\n{outcome.traceback or ''}{outcome.stderr or ''}")
    return 1 if seconds is None else EX_TEMPFAIL


def _leave(code: int) -> NoReturn:
    """End the process, whatever its threads do."""
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)
