"""An external action: workers do it that ask for tasks over HTTP, and no consumer."""

from collections.abc import Mapping
from typing import Any, Protocol

import orjson

from task_queue.actors.actions.action import Done
from task_queue.actors.actions.call import Call
from task_queue.actors.errors import InvalidDataError
from task_queue.actors.tasks.failures import Ended
from task_queue.actors.tasks.settlement import Failure

LEFT_TO_WORKERS = "workers over HTTP do it, no consumer of this server"


class Checks(Protocol):
    """Checks data against a schema."""

    def problem(self, data: Mapping[str, Any]) -> tuple[str, str] | None:
        """Return the path of the member that is wrong, and what is wrong; None: nothing."""


class External:
    """Accepts data, and runs nothing: see `Action`."""

    kind = "external"
    execution = "worker"
    description = None
    overdue_seconds = 0.0

    def __init__(
        self, schema: Mapping[str, Any] | None, checks: Checks | None, timeout_seconds: float
    ) -> None:
        """Store what is known of it.

        Args:
            schema: The JSON Schema of its data; None: any object will do.
            checks: Checks data against that.
            timeout_seconds: How long an attempt may take; 0: no limit.
        """
        self.schema = schema
        self.timeout_seconds = timeout_seconds
        self._checks = checks

    def check(self, data: str) -> None:
        """Accept the data.

        Raises:
            InvalidDataError: It is not what the schema says.
        """
        if self._checks is not None:
            wrong = self._checks.problem(orjson.loads(data))
            if wrong is not None:
                raise InvalidDataError(*wrong)

    def run(self, _call: Call) -> Done:
        """Leave the task to workers: it was marked, or stored, by a node that knew no better.

        Raises:
            Ended: Always; no attempt is lost, and no consumer gets the task again.
        """
        raise Ended(Failure(LEFT_TO_WORKERS, external=True))
