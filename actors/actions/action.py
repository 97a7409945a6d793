"""The port of actions: what every kind of action offers to whoever runs it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from task_queue.actors.actions.call import Call


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """How actions are run, unless an action has settings of its own.

    Attributes:
        timeout_seconds: How long an attempt may take; 0: no limit.
        kill_grace_seconds: From SIGTERM to SIGKILL.
        max_result_bytes: How long a result may be, as JSON.
        max_tasks_per_process: After how many tasks a process is replaced.
        max_mib_per_process: Above how much memory it is replaced, too.
    """

    timeout_seconds: float = 3600.0
    kill_grace_seconds: float = 1.0
    max_result_bytes: int = 1_048_576
    max_tasks_per_process: int = 1000
    max_mib_per_process: int = 512


class Done(NamedTuple):
    """The result of an action that succeeded.

    Attributes:
        result: JSON as text.
        stderr: The last of what its program wrote to standard error; None: nothing.
    """

    result: str
    stderr: str | None = None


class Action(Protocol):
    """Something a task can do.

    Attributes:
        kind: `python`, `command`, `http` or `external`, as in the settings, or `builtin`.
        execution: `thread` or `process`; `worker` if workers over HTTP do it.
        description: What it does, in a line; None: it has none.
        schema: The JSON Schema of its data; None: any object will do.
        timeout_seconds: How long an attempt may take unless its task says otherwise; 0: no limit.
        overdue_seconds: How long after its deadline it may take to return; then its thread is left
            behind.
    """

    @property
    def kind(self) -> str: ...  # noqa: D102 - see above
    @property
    def execution(self) -> str: ...  # noqa: D102
    @property
    def description(self) -> str | None: ...  # noqa: D102
    @property
    def schema(self) -> Mapping[str, Any] | None: ...  # noqa: D102
    @property
    def timeout_seconds(self) -> float: ...  # noqa: D102
    @property
    def overdue_seconds(self) -> float: ...  # noqa: D102

    def check(self, data: str) -> None:
        """Accept the data, a JSON object as text.

        Raises:
            InvalidDataError: It is not what the action takes.
        """

    def run(self, call: Call) -> Done:
        """Run it, and return its result.

        Raises:
            Reject: Running it again cannot help.
            Ended: It failed outside this process.
            Exception: Whatever the action itself raises.
        """
