"""The action that tells at a task's callback how it ended."""

from http import HTTPMethod

import orjson

from task_queue.actors.actions.action import Done
from task_queue.actors.actions.call import Call
from task_queue.actors.actions.http.addresses import address_of
from task_queue.actors.actions.http.request import HttpRequest
from task_queue.actors.actions.http.sender import Sender
from task_queue.actors.errors import InvalidDataError, Reject
from task_queue.actors.tasks.event import DELIVERY

EVENT_TYPE = "application/cloudevents+json; charset=utf-8"


class Callback:
    """Sends an event, which is its task's data, as it is: so every attempt sends the same."""

    kind = "builtin"
    execution = "thread"
    description = "Tells at a task's callback how it ended; not to be published"
    schema = None

    def __init__(self, sender: Sender, *, timeout_seconds: float, overdue_seconds: float) -> None:
        """Store what is needed.

        Args:
            sender: Sends it.
            timeout_seconds: See `Action`.
            overdue_seconds: See `Action`.
        """
        self.timeout_seconds = timeout_seconds
        self.overdue_seconds = overdue_seconds
        self._sender = sender

    def check(self, data: str) -> None:  # noqa: ARG002 - whatever it is
        """Accept nothing that anybody publishes: what is told is what has happened.

        Raises:
            InvalidDataError: Always.
        """
        problem = f"{DELIVERY!r} tells how tasks ended, and is not to be published; give the task"
        raise InvalidDataError("action", f"{problem} a member callback")

    def run(self, call: Call) -> Done:
        """Send the event, and return the answer.

        Raises:
            Reject: There is no such address; and see `Sender.send`, as for the others.
        """
        body = call.claimed.data.encode()
        if (url := address_of(orjson.loads(body)["data"]["callback"])) is None:
            raise Reject("no request can go to the address in callback")
        request = HttpRequest(HTTPMethod.POST, url, body)
        return self._sender.send(request, call, {"content-type": EVENT_TYPE})
