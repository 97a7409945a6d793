"""Tasks in a test: what is published runs at once, and its errors are raised.

    from task_queue.testing import run_inline

    def test_a_picture_is_resized():
        with run_inline(resize=resize) as queue:
            task = queue.publish("resize", {"width": 3})
            assert task.result == {"area": 9}
            assert task.progress == [(0.5, "half"), (1.0, None)]

There is no server and no database, and no other process but those of actions that need one. The
data is checked by its type, and what the action returns must be JSON, as in the service. There are
no retries: whatever the action raises reaches the test, `Reject` and `RetryLater` too.

As a fixture of pytest:

    @pytest.fixture
    def queue():
        with run_inline("shop.toml") as queue:
            yield queue

Code that publishes by `task_queue.client` is answered here, whatever URL its client was made with.
Code that publishes over HTTP in another way gets a client of httpx that is:

    client = httpx.Client(transport=queue.transport, base_url="http://queue")
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from contextvars import copy_context
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
from uuid_utils import uuid7

from task_queue.actors.actions.action import Done
from task_queue.actors.actions.load import load_actions
from task_queue.actors.actions.process.child import Children
from task_queue.actors.actions.python.function import PythonFunction
from task_queue.actors.actions.python.thread import ThreadAction
from task_queue.actors.actions.registry import Registry
from task_queue.actors.errors import ActionLoadError, Reject, RetryLater
from task_queue.actors.tasks.claim import ClaimedTask, Lease, Terms
from task_queue.actors.tasks.failures import Ended, failure_of
from task_queue.actors.tasks.slot import Progress, Slot
from task_queue.actors.tasks.text import shown, unknown
from task_queue.actors.testing.http import transport
from task_queue.actors.testing.published import QUEUE, PublishedTask, RefusedError
from task_queue.config.layers import load
from task_queue.config.names import NAME_RULE, is_name
from task_queue.config.settings import ExecutionSettings, Settings

if TYPE_CHECKING:
    import httpx

MEMBERS = (
    "queue",
    "priority",
    "delay_seconds",
    "run_at",
    "expires_at",
    "max_attempts",
    "backoff",
    "unique_key",
    "key",
    "keep_result_seconds",
    "timeout_seconds",
    "callback",
)
"""What `POST /tasks` takes besides `action` and `data`."""
OVERRIDES = ("builtin.fallback=false", "builtin.simulated_work_seconds=0")
"""No test wants unknown names to pass, or to wait, whatever its settings say."""


@contextmanager
def run_inline(
    config: str | Path | None = None, **actions: Callable[..., Any]
) -> Iterator["InlineQueue"]:
    """Run tasks in a test, each when it is published.

        with run_inline(resize=resize) as queue:
            assert queue.publish("resize", {"width": 3}).result == {"area": 9}

    The built-in actions are there too. Any other name is refused, whatever `builtin.fallback` says,
    since in a test it is a typing error. The environment is not read.

    Args:
        config: A TOML file of settings, whose actions are there as well. Their modules are found as
            in the service: in the current folder too, after all others.
        actions: Functions by the names of their actions; they come before those of the file.
            A name that is not an identifier in Python is given as `**{"send-mail": send}`.

    Yields:
        The queue. At the end of the block the processes of its actions have ended.

    Raises:
        SettingsError: The file cannot be read, or a setting in it is wrong.
        ActionLoadError: An action cannot be used.
    """
    settings = load(None if config is None else Path(config), OVERRIDES, environ={}).settings
    own = {name: _action(name, each, settings.execution) for name, each in actions.items()}
    with closing(Children()) as children:
        registries = [Registry(own, None), load_actions(settings, children)]
        yield InlineQueue(registries, settings, any_queue=config is None)


class InlineQueue:
    """A queue whose `publish` runs the task before it returns; made by `run_inline`."""

    def __init__(
        self, registries: Sequence[Registry], settings: Settings, *, any_queue: bool
    ) -> None:
        """Store what is needed.

        Args:
            registries: The actions; the first one that knows a name runs it.
            settings: All of them.
            any_queue: Whether a publish may name a queue that is not in the settings.
        """
        self._registries, self._any_queue = registries, any_queue
        self._settings = settings
        self._tasks: dict[str, PublishedTask] = {}

    @property
    def published(self) -> list[PublishedTask]:
        """All tasks published so far, in order, also those that failed."""
        return list(self._tasks.values())

    def publish(
        self, action: str, data: dict[str, Any] | None = None, **members: object
    ) -> PublishedTask:
        """Check a task as `POST /tasks` does, and run it, once, in this thread.

        It runs now, even with a `delay_seconds` or with a `unique_key` that is taken: such members
        are kept in `PublishedTask.members` and have no effect, except for `timeout_seconds`, and
        for `queue` and `max_attempts`, which the action can see. A function that is neither `async`
        nor runs in a process has no timeout here. Where an event loop runs, the action gets a
        thread of its own, since a thread can run one loop only.

        Args:
            action: The name of an action.
            data: Its input, which must be JSON; None: `{}`.
            members: What else `POST /tasks` takes, by name: see `MEMBERS`.

        Returns:
            The task, with its result.

        Raises:
            RefusedError: There is no such action or member, or the file has no such queue.
            InvalidDataError: The data is not what the action takes.
            TypeError: The data is not JSON.
            Ended: The action failed in its process, program or connection; the text says how.
            Exception: Whatever the action raises, the same object.
        """
        return self._accepted(action, data, members)()

    @property
    def transport(self) -> "httpx.MockTransport":
        """A transport for httpx clients, synchronous or not, whose requests are answered here.

            client = httpx.Client(transport=queue.transport, base_url="http://queue")
            answer = client.post("/tasks", json={"action": "resize", "data": {"width": 3}})
            assert client.get(answer.headers["Location"]).json()["result"] == {"area": 9}

        `POST /tasks` runs the task and answers `202`, or `400` with the service's `error`; the
        action's own error is raised by the client's method. `POST /tasks/batch` runs several, once
        all are accepted. `GET /tasks/{id}` shows `id`, `payload`, `status`, `result`, `queue`,
        `error` and `progress`; `GET /tasks` has one page with all of them, or those with a
        `status`, a `queue` and an `action`. The rest is `404`.
        """
        return transport(self._accepted, self._tasks)

    def _accepted(
        self, action: object, data: object, members: Mapping[str, object]
    ) -> Callable[[], PublishedTask]:
        """Check a publish; return what runs its task.

        Raises:
            RefusedError: See `publish`.
            InvalidDataError: See `publish`.
        """
        if action in (None, ""):
            message = "action is missing or empty; it names what to do"
            raise RefusedError("action required", message)
        if not isinstance(action, str):
            raise RefusedError(f"action must be a string, not {shown(action)}")
        if not isinstance(data, dict | None):
            raise RefusedError(f"data must be a JSON object, not {shown(data)}")
        if foreign := [name for name in members if name not in MEMBERS]:
            members_there_are = ", ".join(("action", "data", *MEMBERS))
            raise RefusedError(f"{foreign[0]} is not known; known: {members_there_are}")
        registry = next((each for each in self._registries if each.knows(action)), None)
        if registry is None:
            known = sorted({name for each in self._registries for name in each.names})
            raise RefusedError("unknown action", unknown("action", action, known))
        queue, queues = members.get("queue"), self._settings.queues
        if not self._any_queue and queue is not None and queue not in queues:
            raise RefusedError("unknown queue", unknown("queue", str(queue), queues))
        text = orjson.dumps(data or {}).decode()
        registry.check(action, text)
        given = orjson.loads(text)
        task = PublishedTask(id=str(uuid7()), action=action, data=given, members=members)
        return partial(self._run, task, registry)

    def _run(self, task: PublishedTask, registry: Registry) -> PublishedTask:
        self._tasks[task.id] = task
        slot = _Slot(task.members.get("queue") or QUEUE)
        claimed = self._claimed(task, slot.queue)
        came_of_it: dict[str, Any] = {}
        try:
            done = _beside_any_loop(lambda: _as_raised(registry, claimed, slot))
            came_of_it = {"result": orjson.loads(done.result), "stderr": done.stderr}
        except BaseException as error:
            failure = failure_of(error, None, asked_to_stop=False)
            came_of_it = {"error": failure.error, "stderr": failure.stderr}
            raise
        finally:
            self._tasks[task.id] = replace(task, progress=slot.reports, **came_of_it)
        return self._tasks[task.id]

    def _claimed(self, task: PublishedTask, queue: str) -> ClaimedTask:
        usual = self._settings.queues.get(queue) or self._settings.queues[QUEUE]
        return ClaimedTask(
            Lease(task.id, 0),
            task.action,
            orjson.dumps(task.data).decode(),
            attempt=1,
            max_attempts=task.members.get("max_attempts") or usual.max_attempts,
            terms=Terms(timeout_seconds=task.members.get("timeout_seconds")),
        )


class _Slot(Slot):
    """Keeps all reports, not only the newest."""

    __slots__ = ("_newest", "reports")

    def __init__(self, queue: str) -> None:
        self.reports: list[tuple[float, str | None]] = []
        self._newest: Progress | None = None
        super().__init__(queue)

    @property
    def progress(self) -> Progress | None:
        return self._newest

    @progress.setter
    def progress(self, progress: Progress | None) -> None:
        self._newest = progress
        if progress is not None:
            self.reports.append((progress.fraction, progress.message))


def _action(name: str, function: Callable[..., Any], execution: ExecutionSettings) -> ThreadAction:
    """Return the function as an action.

    Raises:
        ActionLoadError: It cannot be used as one.
    """
    if not is_name(name):
        raise ActionLoadError(f"{name!r} cannot be used: the name {NAME_RULE}")
    if not callable(function):
        raise ActionLoadError(f"{name} = {function!r} is not a function")
    try:
        found = PythonFunction(function)
    except ActionLoadError as error:
        raise ActionLoadError(f"{name} = {function!r} cannot be used: {error}") from error
    return ThreadAction(
        found,
        timeout_seconds=execution.timeout_seconds,
        overdue_seconds=execution.kill_grace_seconds,
        max_result_bytes=execution.max_result_bytes,
    )


def _as_raised(registry: Registry, claimed: ClaimedTask, slot: Slot) -> Done:
    """Run the action; what it raised in a process is raised as what it was, where users catch it.

    Raises:
        BaseException: Whatever the action raises; `Ended` for other errors of a process.
    """
    try:
        return registry.run(claimed, slot)
    except Ended as error:
        failure = error.failure
        if failure.permanent:
            raise Reject(failure.error) from error
        if failure.retry_after is not None:
            raise RetryLater(failure.retry_after, failure.error) from error
        raise


def _beside_any_loop(run: Callable[[], Done]) -> Done:
    """Run it, in a thread of its own if an event loop runs in this one."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return run()
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(copy_context().run, run).result()
