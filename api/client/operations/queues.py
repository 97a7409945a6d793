"""Look at queues and steer them."""

from collections.abc import Sequence
from typing import Literal

from task_queue.api.client.flow import Flow
from task_queue.api.client.operation import operation
from task_queue.api.client.operations.base import Base, nothing, one, several
from task_queue.api.client.request import get, post, segment
from task_queue.api.client.results.queues import Figures, Purged, Queue


class QueueOperations(Base):
    """Queues."""

    @operation
    def queues(self) -> Flow[Sequence[Queue]]:
        """Return all queues."""
        return self._ask(get("/queues", several(Queue, "queues")))

    @operation
    def queue(self, name: str) -> Flow[Queue]:
        """Return the queue."""
        return self._ask(get(f"/queues/{segment(name)}", one(Queue)))

    @operation
    def pause(self, queue: str) -> Flow[None]:
        """Let the queue hand out no more tasks; repeated until there is an answer."""
        path = f"/queues/{segment(queue)}/pause"
        return self._ask(post(path, nothing, repeatable=True))

    @operation
    def resume(self, queue: str) -> Flow[None]:
        """Let the queue hand out tasks again; repeated until there is an answer."""
        path = f"/queues/{segment(queue)}/resume"
        return self._ask(post(path, nothing, repeatable=True))

    @operation
    def purge(self, queue: str) -> Flow[Purged]:
        """Cancel all tasks that wait on the queue."""
        path = f"/queues/{segment(queue)}/purge"
        return self._ask(post(path, one(Purged), repeatable=False))

    @operation
    def figures(
        self, span: Literal["hour", "day"] = "hour", *, queue: str | None = None
    ) -> Flow[Figures]:
        """Return what went through each queue, or one, over the last hour or day."""
        return self._ask(get("/queues/figures", one(Figures), {"span": span, "queue": queue}))
