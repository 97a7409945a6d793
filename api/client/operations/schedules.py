"""Look at schedules and change them."""

from collections.abc import Sequence
from typing import Unpack

from task_queue.api.client.flow import Flow
from task_queue.api.client.members import NewTask, Times
from task_queue.api.client.operation import operation
from task_queue.api.client.operations.base import Base, given, nothing, one, several
from task_queue.api.client.request import Request, get, json_of, post_once, segment
from task_queue.api.client.results.schedules import Schedule
from task_queue.api.client.results.tasks import (
    Published,
)


class ScheduleOperations(Base):
    """Schedules."""

    @operation
    def schedules(self) -> Flow[Sequence[Schedule]]:
        """Return all schedules."""
        return self._ask(get("/schedules", several(Schedule, "schedules")))

    @operation
    def schedule(self, name: str) -> Flow[Schedule]:
        """Return the schedule."""
        return self._ask(get(f"/schedules/{segment(name)}", one(Schedule)))

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
            read=one(Schedule),
            body=json_of(given(times) | {"task": task.document}),
            repeatable=True,
        )
        return self._ask(request)

    @operation
    def delete_schedule(self, name: str) -> Flow[None]:
        """Delete a schedule; what it has published stays."""
        path = f"/schedules/{segment(name)}"
        return self._ask(Request(method="DELETE", path=path, read=nothing))

    @operation
    def run_schedule(self, name: str, *, idempotency_key: str | None = None) -> Flow[Published]:
        """Publish the schedule's task now; its next time stays. Repeated as `publish` is."""
        path = f"/schedules/{segment(name)}/run"
        return self._ask(post_once(path, one(Published), {}, idempotency_key))
