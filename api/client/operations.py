"""All that can be asked of the service, once for both clients."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, TypeVar, Unpack
from uuid import uuid4

from task_queue.api.client.errors import TaskFailedError
from task_queue.api.client.flow import Flow, Patience, asked
from task_queue.api.client.members import Filters, Members, NewTask, Redrive, Times, Which, Wishes
from task_queue.api.client.operation import Pages, listing, operation
from task_queue.api.client.request import Request, get, json_of, post, query_of, segment
from task_queue.api.client.results import (
    Action,
    AuditEntry,
    Changed,
    ChangedMany,
    DeadGroup,
    Figures,
    Lease,
    Page,
    Published,
    PublishedBatch,
    Purged,
    Queue,
    Readiness,
    Redriven,
    Schedule,
    Settled,
    Task,
    Workforce,
    read,
)
from task_queue.api.client.waiting import finished

R = TypeVar("R")
T = TypeVar("T")


class Operations:
    """What both clients can do. On an `AsyncClient` everything is awaited.

    Requests are repeated as the parameters of the client say, if they only look, or do the same
    twice as once: see each. All others are repeated only while nothing can have happened; if it is
    not known whether it has, they raise `OutcomeUnknownError`.

    Everything may raise `RefusedError` (and its kinds `NotFoundError`, `NotAllowedError`,
    `ConflictError`) and `UnavailableError`.
    """

    _patience: Patience

    def _ask(self, request: Request[R], until: float | None = None) -> Flow[R]:
        return asked(request, self._patience, until)

    def _pages(
        self, path: str, of: Callable[[Any], T], query: Mapping[str, Any], member: str
    ) -> Pages[T]:
        def page(cursor: str | None) -> Flow[Page[T]]:
            def items(document: Any) -> Page[T]:  # noqa: ANN401 - JSON
                found = tuple(of(each) for each in document[member])
                return Page(items=found, next_cursor=document["next_cursor"])

            return self._ask(get(path, items, {**query, "cursor": cursor}))

        return page

    # Publish

    @operation
    def publish(
        self,
        action: str,
        data: Mapping[str, Any] | None = None,
        *,
        idempotency_key: str | None = None,
        **members: Unpack[Members],
    ) -> Flow[Published]:
        """Publish a task; when this returns, it is as safe as its queue makes it.

        It is repeated with the same idempotency key until there is an answer, and takes effect
        once.

        Args:
            action: What is to be done.
            data: The action's input, an object; None: `{}`.
            idempotency_key: Repeats an earlier publish that had this key; None: a new one is drawn.
            members: What else it asks for; see `Members`.

        Raises:
            TypeError: The data cannot be written as JSON.
        """
        body = NewTask(action, data, members).document
        return self._ask(_publish("/tasks", body, idempotency_key, _of(Published)))

    @operation
    def publish_batch(
        self, tasks: Iterable[NewTask], *, idempotency_key: str | None = None
    ) -> Flow[PublishedBatch]:
        """Publish up to 1,000 tasks, all or none; repeated as `publish` is."""
        body = {"tasks": [each.document for each in tasks]}
        return self._ask(_publish("/tasks/batch", body, idempotency_key, _of(PublishedBatch)))

    # Tasks

    @operation
    def get(self, task_id: str) -> Flow[Task]:
        """Return the task, with its attempts."""
        return self._ask(get(f"/tasks/{segment(task_id)}", Task.of))

    @listing
    def tasks(
        self,
        *,
        order: Literal["newest", "oldest"] = "newest",
        page_size: int = 100,
        **filters: Unpack[Filters],
    ) -> Pages[Task]:
        """Return an iterator over all tasks that match, which fetches pages as they are needed.

        Args:
            order: The newest first, or the oldest.
            page_size: How many are fetched at once, 1 to 1000.
            filters: Which ones; see `Filters`.
        """
        query = {**filters, "order": order, "limit": page_size}
        return self._pages("/tasks", Task.of, query, "tasks")

    @operation
    def wait(self, task_id: str, seconds: float) -> Flow[Task]:
        """Return the task once it is finished, however it has ended.

        While the server is away, it is asked again.

        Raises:
            NotFinishedError: It is not finished after so many seconds.
        """
        return finished(self._ask, self._patience, task_id, seconds)

    @operation
    def result(self, task_id: str, seconds: float) -> Flow[Any]:
        """Return what the task's action returned, once it is completed.

        Raises:
            TaskFailedError: It is dead, or was cancelled.
            NotFinishedError: It is not finished after so many seconds.
        """
        task = yield from finished(self._ask, self._patience, task_id, seconds)
        if task.status != "completed":
            message = f"the task {task.id} ({task.action}) is {task.status}"
            raise TaskFailedError(f"{message}: {task.error}" if task.error else message, task)
        return task.result

    @operation
    def cancel(self, task_id: str) -> Flow[Changed]:
        """Cancel a task that waits, or ask one that runs to stop."""
        return self._change(task_id, "cancel")

    @operation
    def retry(self, task_id: str) -> Flow[Changed]:
        """Put a dead or cancelled task back on its queue, with all its attempts."""
        return self._change(task_id, "retry")

    def _change(self, task_id: str, verb: str) -> Flow[Changed]:
        path = f"/tasks/{segment(task_id)}/{verb}"
        return self._ask(post(path, _of(Changed), repeatable=False))

    @operation
    def delete(self, task_id: str) -> Flow[None]:
        """Delete a task that is finished."""
        path = f"/tasks/{segment(task_id)}"
        return self._ask(Request(method="DELETE", path=path, read=_nothing))

    @operation
    def cancel_tasks(self, **which: Unpack[Which]) -> Flow[ChangedMany]:
        """Cancel all tasks that match."""
        return self._change_many("cancel", which)

    @operation
    def retry_tasks(self, **which: Unpack[Which]) -> Flow[ChangedMany]:
        """Put all dead or cancelled tasks that match back on their queues."""
        return self._change_many("retry", which)

    @operation
    def delete_tasks(self, **which: Unpack[Which]) -> Flow[ChangedMany]:
        """Delete all finished tasks that match."""
        return self._change_many("delete", which)

    def _change_many(self, verb: str, which: Which) -> Flow[ChangedMany]:
        query: dict[str, Any] = dict(which)
        ids, progress = query.pop("ids", None), query.pop("progress", None)
        body = None if ids is None else {"ids": list(ids)}
        path = f"/tasks/{verb}"
        if query.get("preview"):
            asked_for = post(path, _of(ChangedMany), body, repeatable=True, query=query)
            return (yield from self._ask(asked_for))
        query.pop("preview", None)
        so_far, cursor = ChangedMany(count=0), None
        while True:
            request = post(path, dict, body, repeatable=False, query={**query, "cursor": cursor})
            step = yield from self._ask(request)
            so_far = ChangedMany(
                count=so_far.count + step["count"],
                skipped=so_far.skipped + step.get("skipped", 0),
            )
            cursor = step["next_cursor"]
            if progress is not None:
                progress(so_far)
            if cursor is None:
                return so_far

    # Dead letters

    @listing
    def dead_letters(
        self,
        *,
        order: Literal["newest", "oldest"] = "newest",
        page_size: int = 100,
        **filters: Unpack[Filters],
    ) -> Pages[Task]:
        """Return an iterator over all dead tasks that match; as `tasks`, but without `status`."""
        query = {**filters, "order": order, "limit": page_size}
        return self._pages("/dead-letters", Task.of, query, "tasks")

    @operation
    def dead_letter_groups(
        self, *, queue: str | None = None, action: str | None = None, limit: int = 100
    ) -> Flow[Sequence[DeadGroup]]:
        """Return the dead tasks grouped by error, the largest group first; at most 500 groups."""
        query = {"queue": queue, "action": action, "limit": limit}
        return self._ask(get("/dead-letters/groups", _all(DeadGroup, "groups"), query))

    @operation
    def redrive(self, **which: Unpack[Redrive]) -> Flow[Redriven]:
        """Put dead tasks that match back on their queues, the oldest first; see `Redrive`."""
        body = _given(which)
        return self._ask(post("/dead-letters/redrive", _of(Redriven), body, repeatable=False))

    # Queues

    @operation
    def queues(self) -> Flow[Sequence[Queue]]:
        """Return all queues."""
        return self._ask(get("/queues", _all(Queue, "queues")))

    @operation
    def queue(self, name: str) -> Flow[Queue]:
        """Return the queue."""
        return self._ask(get(f"/queues/{segment(name)}", _of(Queue)))

    @operation
    def pause(self, queue: str) -> Flow[None]:
        """Let the queue hand out no more tasks; repeated until there is an answer."""
        path = f"/queues/{segment(queue)}/pause"
        return self._ask(post(path, _nothing, repeatable=True))

    @operation
    def resume(self, queue: str) -> Flow[None]:
        """Let the queue hand out tasks again; repeated until there is an answer."""
        path = f"/queues/{segment(queue)}/resume"
        return self._ask(post(path, _nothing, repeatable=True))

    @operation
    def purge(self, queue: str) -> Flow[Purged]:
        """Cancel all tasks that wait on the queue."""
        path = f"/queues/{segment(queue)}/purge"
        return self._ask(post(path, _of(Purged), repeatable=False))

    @operation
    def figures(
        self, span: Literal["hour", "day"] = "hour", *, queue: str | None = None
    ) -> Flow[Figures]:
        """Return what went through each queue, or one, over the last hour or day."""
        return self._ask(get("/queues/figures", _of(Figures), {"span": span, "queue": queue}))

    # Schedules

    @operation
    def schedules(self) -> Flow[Sequence[Schedule]]:
        """Return all schedules."""
        return self._ask(get("/schedules", _all(Schedule, "schedules")))

    @operation
    def schedule(self, name: str) -> Flow[Schedule]:
        """Return the schedule."""
        return self._ask(get(f"/schedules/{segment(name)}", _of(Schedule)))

    @operation
    def put_schedule(self, name: str, task: NewTask, **times: Unpack[Times]) -> Flow[Schedule]:
        """Make or replace a schedule; repeated until there is an answer.

        Args:
            name: Its name.
            task: What is published, without `run_at` and `expires_at`.
            times: When; see `Times`.
        """
        request = Request(
            method="PUT",
            path=f"/schedules/{segment(name)}",
            read=_of(Schedule),
            body=json_of(_given(times) | {"task": task.document}),
            repeatable=True,
        )
        return self._ask(request)

    @operation
    def delete_schedule(self, name: str) -> Flow[None]:
        """Delete a schedule; what it has published stays."""
        path = f"/schedules/{segment(name)}"
        return self._ask(Request(method="DELETE", path=path, read=_nothing))

    @operation
    def run_schedule(self, name: str) -> Flow[Published]:
        """Publish the schedule's task now; its next time stays."""
        path = f"/schedules/{segment(name)}/run"
        return self._ask(post(path, _of(Published), repeatable=False))

    # Workers

    @operation
    def lease(
        self, queue: str = "tasks", *, wait_seconds: int = 0, **wishes: Unpack[Wishes]
    ) -> Flow[Sequence[Lease]]:
        """Lease tasks of external actions to a worker; none if nothing was ready.

        It is repeated until there is an answer. What was leased by an answer that was lost is free
        again once its lease has lapsed.

        Args:
            queue: Whose tasks.
            wait_seconds: How long to wait until there are any.
            wishes: How many, and for how long; see `Wishes`.
        """
        request = Request(
            method="POST",
            path=f"/queues/{segment(queue)}/lease",
            read=_leases,
            body=json_of(_given(wishes)),
            wait_seconds=wait_seconds,
            repeatable=True,
        )
        return self._ask(request)

    @operation
    def ack(self, lease: str, result: object = None) -> Flow[Settled]:
        """Complete a leased task with this result; repeated until there is an answer."""
        return self._settle(lease, "ack", {"result": result})

    @operation
    def nack(
        self,
        lease: str,
        error: str,
        *,
        retry_after_seconds: float | None = None,
        permanent: bool = False,
    ) -> Flow[Settled]:
        """Fail a leased task; repeated until there is an answer.

        Args:
            lease: The lease.
            error: Why.
            retry_after_seconds: When to try again; None: after its backoff.
            permanent: Whether to try again is of no use.
        """
        body = {"error": error, "permanent": permanent}
        if retry_after_seconds is not None:
            body["retry_after_seconds"] = retry_after_seconds
        return self._settle(lease, "nack", body)

    @operation
    def release(self, lease: str) -> Flow[Settled]:
        """Give a leased task back, without an attempt; repeated until there is an answer."""
        return self._settle(lease, "release", None)

    @operation
    def extend(
        self,
        lease: str,
        lease_seconds: float,
        *,
        fraction: float | None = None,
        message: str | None = None,
    ) -> Flow[Settled]:
        """Let a lease last so long from now on; repeated until there is an answer.

        Args:
            lease: The lease.
            lease_seconds: How long.
            fraction: How far the task is, 0 to 1.
            message: What it says about that.
        """
        body: dict[str, Any] = {"lease_seconds": lease_seconds}
        if fraction is not None:
            body["progress"] = {"fraction": fraction} | (
                {} if message is None else {"message": message}
            )
        return self._settle(lease, "extend", body)

    def _settle(self, lease: str, verb: str, body: object) -> Flow[Settled]:
        path = f"/leases/{segment(lease)}/{verb}"
        return self._ask(post(path, _of(Settled), body, repeatable=True))

    # The service

    @operation
    def actions(self) -> Flow[Sequence[Action]]:
        """Return all actions."""
        return self._ask(get("/actions", _all(Action, "actions")))

    @operation
    def action(self, name: str) -> Flow[Action]:
        """Return the action, with the schema of its data."""
        return self._ask(get(f"/actions/{segment(name)}", _of(Action)))

    @operation
    def nodes(self) -> Flow[Workforce]:
        """Return who works: the nodes of the service, and workers with what they have leased."""
        return self._ask(get("/nodes", Workforce.of))

    @operation
    def readiness(self) -> Flow[Readiness]:
        """Return whether work gets done, and if not, why."""
        asked_for = Request(
            method="GET",
            path="/readyz",
            read=_of(Readiness),
            repeatable=True,
            accepts=frozenset({503}),
        )
        return self._ask(asked_for)

    @listing
    def audit(
        self, *, who: str | None = None, what: str | None = None, page_size: int = 100
    ) -> Pages[AuditEntry]:
        """Return an iterator over what was asked for, the newest first.

        Args:
            who: Only what was done with this key.
            what: Only this operation, as in `purge_queue`.
            page_size: How many are fetched at once.
        """
        query = {"who": who, "what": what, "limit": page_size}
        return self._pages("/audit", _of(AuditEntry), query, "entries")

    @operation
    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, object] | None = None,
        body: object = None,
        repeatable: bool = False,
    ) -> Flow[Any]:
        """Ask for anything; return the document that was answered, None if there is none.

        Args:
            method: As in `POST`.
            path: Below the server's URL, as in `/tasks`.
            query: Its parameters; what is None is left out.
            body: What is sent as JSON; None: nothing.
            repeatable: Whether it may be sent again when nobody knows whether it was done; what
                only looks always is.
        """
        return self._ask(
            Request(
                method=method,
                path=path + query_of(query or {}),
                read=_as_it_is,
                body=None if body is None else json_of(body),
                repeatable=repeatable or method == "GET",
            )
        )


def _publish(path: str, body: object, key: str | None, of: Callable[[Any], R]) -> Request[R]:
    return Request(
        method="POST",
        path=path,
        read=of,
        body=json_of(body),
        headers={"Idempotency-Key": key or str(uuid4())},
        repeatable=True,
    )


def _given(members: Mapping[str, object]) -> dict[str, object]:
    """Return the members that are not None; lists of what can only be gone through once."""
    return {
        name: value if isinstance(value, str) or not isinstance(value, Iterable) else list(value)
        for name, value in members.items()
        if value is not None
    }


def _of(kind: Callable[..., T]) -> Callable[[Any], T]:
    return lambda document: read(kind, document)


def _all(kind: Callable[..., T], member: str) -> Callable[[Any], Sequence[T]]:
    return lambda document: tuple(read(kind, each) for each in document[member])


def _leases(document: Mapping[str, Any]) -> Sequence[Lease]:
    return tuple(Lease.of(each) for each in document["leases"])


def _as_it_is(document: Any) -> Any:  # noqa: ANN401 - JSON
    return document


def _nothing(_document: object) -> None:
    return None
