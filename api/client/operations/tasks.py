"""Publish tasks, look at them and change them."""

from collections.abc import Iterable, Mapping
from typing import Any, Literal, Unpack

from task_queue.api.client.errors import TaskFailedError
from task_queue.api.client.flow import Flow
from task_queue.api.client.members import Filters, Members, NewTask, Which
from task_queue.api.client.operation import Pages, listing, operation
from task_queue.api.client.operations.base import Base, nothing, one
from task_queue.api.client.request import Request, get, post, post_once, segment
from task_queue.api.client.results.tasks import (
    Changed,
    ChangedMany,
    Published,
    PublishedBatch,
    Task,
)
from task_queue.api.client.waiting import finished

"""How long an idempotency key may be."""


class TaskOperations(Base):
    """Tasks."""

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
            ValueError: It holds a NaN or an infinity; or the key cannot be one.
        """
        body = NewTask(action, data, members).document
        return self._ask(post_once("/tasks", one(Published), body, idempotency_key))

    @operation
    def publish_batch(
        self, tasks: Iterable[NewTask], *, idempotency_key: str | None = None
    ) -> Flow[PublishedBatch]:
        """Publish up to 1,000 tasks, all or none; repeated as `publish` is."""
        body = {"tasks": [each.document for each in tasks]}
        return self._ask(post_once("/tasks/batch", one(PublishedBatch), body, idempotency_key))

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
        return self._ask(post(path, one(Changed), repeatable=False))

    @operation
    def delete(self, task_id: str) -> Flow[None]:
        """Delete a task that is finished."""
        path = f"/tasks/{segment(task_id)}"
        return self._ask(Request(method="DELETE", path=path, read=nothing))

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
            asked_for = post(path, one(ChangedMany), body, repeatable=True, query=query)
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
