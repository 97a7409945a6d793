"""`POST /tasks` and `POST /tasks/batch`: a request becomes tasks on a queue.

Each publish goes one way: what it asks for is checked, then the tasks are built and handed to their
queue, then the answer is prepared.
"""

from collections.abc import Callable, Collection, Mapping
from functools import partial
from http import HTTPStatus
from typing import Any

import falcon
from orjson import dumps
from uuid_utils import uuid7

from task_queue.actors.errors import NeverStartsError
from task_queue.actors.messages.queue import Publish
from task_queue.actors.messages.writer import Watch
from task_queue.actors.runtime.address import Address
from task_queue.actors.tasks.conditions import Conditions, Published
from task_queue.actors.tasks.limits import QueueLimits
from task_queue.actors.tasks.new import QueueInfo, plain_task, task_of
from task_queue.actors.tasks.states import Status
from task_queue.actors.tasks.task import Task
from task_queue.actors.tasks.trace import Trace, trace_of
from task_queue.api.auth.caller import caller_of
from task_queue.api.auth.scopes import Scope
from task_queue.api.edge import Edge
from task_queue.api.json_codec import read_json
from task_queue.api.publish_answer import PublishAnswer
from task_queue.api.request_trace import TRACEPARENT, TRACESTATE, enter_span
from task_queue.api.requests import idempotency, prefer
from task_queue.api.requests.bodies import (
    BatchBody,
    PublishBody,
    members_of,
    plain_body,
    publish_body,
)
from task_queue.api.requests.catalog import check_together, not_in_memory
from task_queue.api.requests.cloudevents import Event, event_in
from task_queue.api.requests.validation import checked
from task_queue.api.responses import published
from task_queue.api.responses.answer import Answer
from task_queue.api.responses.late import Late, leave_after
from task_queue.api.responses.urls import url


class Publisher:
    """Publishes what requests ask for: `202` once it is as safe as its queue's driver makes it."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge
        self._actions = edge.actions
        self._tracing = edge.system.tracing
        self._in_flight = idempotency.InFlight()

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Publish the task in the body."""
        caller, event = caller_of(req), event_in(req)
        value = read_json(req) if event is None else event.value
        plain = plain_body(value)
        seconds = prefer.wait_seconds(req, self._edge.max_wait_seconds)
        if (
            plain is not None
            and event is None
            and seconds is None
            and idempotency.ENVIRON_KEY not in req.env
            and TRACEPARENT not in req.env
            and self._tracing is None
        ):
            action, data, name = plain
            queue = self._edge.queue(name)
            if (
                queue is not None
                and caller.sees(queue[0].name)
                and not queue[0].limits.bound_publishes
                and self._actions.runs(action)
            ):
                self._publish_plain(req, resp, queue, action, data)
                return
        body = publish_body(value)
        info = self._edge.catalog(caller).check(body)
        asked, waits = {"": (info, body)}, seconds is not None
        publish = self._build(req, value, asked, waits=waits, event=event)
        answer = PublishAnswer(
            self._edge, publish, has_row=info.durable, may_read=caller.may(Scope.READ)
        )
        if seconds is None:
            self._send(req, resp, publish, published.one, answer.at_once)
        else:
            self._send_and_wait(req, resp, publish, answer, seconds)

    def on_post_batch(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Publish the tasks in the body, all or none; the answer waits for the end of none."""
        value = read_json(req)
        bodies = checked(BatchBody, value).tasks
        catalog = self._edge.catalog(caller_of(req))
        asked = {
            f"tasks[{index}].": (catalog.check(body, f"tasks[{index}]"), body)
            for index, body in enumerate(bodies)
        }
        check_together([queue for queue, _ in asked.values()])
        publish = self._build(req, value, asked)
        decided = partial(published.decided, publish, published.batch)
        self._send(req, resp, publish, published.batch, decided)

    def _publish_plain(
        self,
        req: falcon.Request,
        resp: falcon.Response,
        queue: tuple[QueueInfo, Address],
        action: str,
        data: dict[str, Any],
    ) -> None:
        """Publish a task that asks for nothing special, as nearly all do.

        Raises:
            InvalidDataError: The data is not what the action takes.
        """
        info, address = queue
        text = dumps(data).decode()
        self._actions.check(action, text)
        task = plain_task(str(uuid7()), info, action, text, self._edge.now())
        publish = Publish((task,), self._edge.deadline)
        published.note_when_stored(publish)
        late = Late(address.ask_later(publish), _as_prepared)
        if (changed := leave_after(req, late, self._edge.timeout)) is not None:
            changed.fill(resp)
            return
        resp.status = HTTPStatus.ACCEPTED.value
        resp.set_header("Location", url(f"/tasks/{task.id}"))
        resp.data = dumps({"id": task.id, "status": task.status.value})

    def _build(
        self,
        req: falcon.Request,
        value: object,
        asked: Mapping[str, tuple[QueueInfo, PublishBody]],
        *,
        waits: bool = False,
        event: Event | None = None,
    ) -> Publish:
        """Build the publish of tasks that may ask for anything.

        Args:
            req: The request.
            value: The JSON value in its body.
            asked: The tasks it asks for with the queue of each, by where their members stand.
            waits: Whether the answer waits for the task's end.
            event: The event that it is, if it is one.

        Raises:
            InvalidRequestError: The queue cannot do it.
            NeverStartsError: One of the tasks could not be started.
        """
        now = self._edge.now()
        # An event's own is that of its beginning, the request's that of its last way.
        trace = event and event.trace
        trace = trace or trace_of(req.env.get(TRACEPARENT), req.env.get(TRACESTATE))
        tasks = {
            where: _task(queue, body, now, trace, external=self._actions.is_external(body.action))
            for where, (queue, body) in asked.items()
        }
        queues = {queue.name: queue for queue, _ in asked.values()}
        limits = _limits_that_bind(tasks.values(), queues)
        again = idempotency.asked_for(req, value, now, waits=waits, event=event and event.name)
        in_memory = next((name for name, queue in queues.items() if not queue.durable), None)
        if again is not None and in_memory is not None:
            raise not_in_memory(in_memory, "Idempotency-Key" if event is None else "an event")
        refusal = _refusal(tasks)
        if refusal is not None and again is None:
            raise refusal
        conditions = None
        if limits or again:
            conditions = Conditions(limits=limits, idempotency=again, refusal=refusal)
        publish = Publish(tuple(tasks.values()), self._edge.deadline, conditions)
        if self._tracing is not None:
            publish = self._tracing.sent(publish)
            if (own := publish.tasks[0].options.traceparent) is not None:
                enter_span(req.env, own)
        return publish

    def _send(
        self,
        req: falcon.Request,
        resp: falcon.Response,
        publish: Publish,
        shape: published.Shape,
        decided: Callable[[Published | None], Answer | Late[Any] | None],
    ) -> None:
        """Ask the queue, and answer with what is decided then; None: as prepared in this shape."""
        if (key := idempotency.key_of(publish)) is not None:
            self._in_flight.enter(key)
            self._in_flight.leave_with(publish.reply_to, key)
        published.note_when_stored(publish)
        late = Late(self._edge.publish(publish), decided)
        answer = leave_after(req, late, self._edge.timeout)
        (answer or published.prepared(publish.tasks, shape)).fill(resp)

    def _send_and_wait(
        self,
        req: falcon.Request,
        resp: falcon.Response,
        publish: Publish,
        answer: PublishAnswer,
        seconds: int,
    ) -> None:
        """Ask the queue, and answer once the task is final or this time is over."""
        if (key := idempotency.key_of(publish)) is not None:
            self._in_flight.enter(key)
        published.note_when_stored(publish)
        [task] = publish.tasks
        # Before the queue is told, so that the writer hears of it before the task can end.
        watch = self._edge.watch(task.id, self._edge.monotonic() + seconds)
        left = partial(self._leave, watch, key)
        late = Late(self._edge.publish(publish), partial(answer.in_time, seconds, watch), left=left)
        if (at_once := leave_after(req, late, self._edge.timeout)) is not None:
            at_once.fill(resp)

    def _leave(self, watch: Watch, key: str | None) -> None:
        """Forget a request that waited: it may be refused, or have waited for another task."""
        watch.leave()
        if key is not None:
            self._in_flight.leave(key)


def _task(
    queue: QueueInfo, body: PublishBody, now: float, trace: Trace | None, *, external: bool
) -> Task:
    own_id = str(uuid7())
    if body.is_plain and trace is None and not external:
        return plain_task(own_id, queue, body.action, dumps(body.data or {}).decode(), now)
    members = members_of(body) | (trace._asdict() if trace else {})
    return task_of(own_id, queue, members, now, external=external)


def _refusal(tasks: Mapping[str, Task]) -> NeverStartsError | None:
    """Return the error of the first task that expires before its delay is over, if one does."""
    for where, task in tasks.items():
        expires_at = task.options.expires_at
        if task.status is Status.SCHEDULED and expires_at is not None and expires_at <= task.run_at:
            message = f"{where}expires_at must be later than the time when its delay is over"
            return NeverStartsError(message)
    return None


def _limits_that_bind(
    tasks: Collection[Task], queues: dict[str, QueueInfo]
) -> dict[str, QueueLimits]:
    """Return the limits that have to be checked when these tasks are stored, by queue."""
    keyed = {task.queue for task in tasks if task.options.key is not None}
    return {
        name: queue.limits
        for name, queue in queues.items()
        if queue.limits.bound_publishes or (queue.limits.concurrency_per_key and name in keyed)
    }


def _as_prepared(_published: Published | None) -> None:
    """Let the prepared answer stay: a plain task is stored or refused, and nothing else."""
