"""The actions and queues there are, and whether a task can be published to them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import orjson

from task_queue.actors.actions.registry import Registry
from task_queue.actors.errors import InvalidDataError
from task_queue.actors.tasks.new import QUEUE, QueueInfo
from task_queue.actors.tasks.text import cut, shown, unknown
from task_queue.api.requests.bodies import PublishBody
from task_queue.api.responses import problems
from task_queue.api.responses.errors import InvalidRequestError
from task_queue.config.callbacks import CALLBACKS

MEMORY_MEMBERS = ("action", "data", "queue", "delay_seconds", "run_at", "max_attempts")
"""The members that a queue in memory accepts."""


@dataclass(frozen=True, slots=True)
class Catalog:
    """What tasks can ask for.

    Attributes:
        actions: The actions there are; None: they are not loaded, and any will do.
        queues: The queues by name.
        tells: Whether it can be told how a task ended.
        allowed: Those that whoever publishes may publish to; None: all.
    """

    actions: Registry | None
    queues: Mapping[str, QueueInfo]
    tells: bool
    allowed: frozenset[str] | None = None

    def check(self, body: PublishBody, where: str = "") -> QueueInfo:
        """Accept a task that can be published; return its queue.

        Args:
            body: The task.
            where: Where it stands in the request's body, as in `tasks[17]`; empty: it is the body.

        Raises:
            InvalidRequestError: The action or the queue is not known, the action does not take the
                data, the queue is not one to publish to, or its driver cannot do something that is
                asked for.
        """
        prefix = f"{where}." if where else ""
        if self.actions is not None:
            _check_action(self.actions, body, prefix)
        name = body.queue or QUEUE
        if self.allowed is not None and name not in self.allowed:
            raise _not_allowed(self.allowed, name, prefix)
        queue = self.queues.get(name)
        if queue is None:
            raise unknown_queue(self._known(), name, prefix)
        if not queue.durable:
            if self.actions is not None and self.actions.is_external(body.action):
                raise _external_in_memory(body.action, queue.name, prefix)
            for member in body.given:
                if member not in MEMORY_MEMBERS:
                    raise not_in_memory(queue.name, f"{prefix}{member}")
        if body.callback:
            self._check_callback(body.callback, queue, f"{prefix}callback")
        return queue

    def _known(self) -> list[str]:
        return [name for name in self.queues if self.allowed is None or name in self.allowed]

    def _check_callback(self, callback: str, queue: QueueInfo, member: str) -> None:
        if not self.tells:
            message = f"{member} needs the setting callbacks.secret, which is not set"
            raise InvalidRequestError(message, problem=problems.CALLBACK_REFUSED)
        if queue.name == CALLBACKS:
            message = f"{member} is not for the queue {CALLBACKS}: what it tells is not told of"
            raise InvalidRequestError(message, problem=problems.CALLBACK_REFUSED)
        from task_queue.actors.actions.http.addresses import address_of  # noqa: PLC0415 - slow

        if address_of(callback) is None:
            message = f"{member} must be an address that a request can go to, not {shown(callback)}"
            raise InvalidRequestError(message, problem=problems.CALLBACK_REFUSED)


def _check_action(actions: Registry, body: PublishBody, prefix: str) -> None:
    if not actions.knows(body.action):
        raise unknown_action(actions.published, body.action, prefix)
    try:
        actions.check(body.action, orjson.dumps(body.data or {}).decode())
    except InvalidDataError as error:
        text = f"{prefix}{error}"
        raise InvalidRequestError(text, problem=problems.INVALID_DATA) from error


def unknown_action(known: Collection[str], name: str, prefix: str = "") -> InvalidRequestError:
    """Return the error of an action that there is not; `prefix` is where in the body, if at all."""
    detail = unknown(f"{prefix}action", name, known)
    return InvalidRequestError("unknown action", detail, problems.UNKNOWN_ACTION)


def unknown_queue(queues: Collection[str], name: str, prefix: str = "") -> InvalidRequestError:
    """Return the error of a queue that there is not; `prefix` is where in the body, if at all."""
    detail = unknown(f"{prefix}queue", name, queues)
    return InvalidRequestError("unknown queue", detail, problems.UNKNOWN_QUEUE)


def _not_allowed(allowed: Collection[str], name: str, prefix: str) -> InvalidRequestError:
    """Return the error of a queue that the caller does not see, whether there is one or not."""
    own = ", ".join(sorted(allowed))
    detail = f"{prefix}queue must be one that this key may publish to ({own}), not {cut(name)!r}"
    return InvalidRequestError("queue not allowed", detail, problems.QUEUE_NOT_ALLOWED)


def check_together(queues: Sequence[QueueInfo]) -> None:
    """Accept queues that can take their tasks in one transaction.

    Raises:
        InvalidRequestError: One of several is in memory.
    """
    first = queues[0]
    for index, queue in enumerate(queues):
        if queue is not first and not (queue.durable and first.durable):
            message = (
                f"tasks[{index}].queue is {queue.name!r} and tasks[0].queue is {first.name!r};"
                " a queue in memory cannot be in a batch with another one"
            )
            raise InvalidRequestError(message, problem=problems.CONTRADICTION)


def _external_in_memory(action: str, queue: str, prefix: str) -> InvalidRequestError:
    detail = (
        f"{prefix}action {action!r} is done by workers over HTTP and needs a queue on a database;"
        f" {queue!r} is in memory"
    )
    return InvalidRequestError(detail, problem=problems.CONTRADICTION)


def not_in_memory(queue: str, what: str) -> InvalidRequestError:
    """Return the error of a task that asks too much of a queue in memory."""
    allowed = ", ".join(MEMORY_MEMBERS)
    message = f"{what} needs a queue on a database; {queue!r} is in memory and takes only {allowed}"
    return InvalidRequestError(message, problem=problems.CONTRADICTION)
