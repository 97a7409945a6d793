"""Look at dead tasks, and put them back."""

from collections.abc import Sequence
from typing import Literal, Unpack

from task_queue.api.client.flow import Flow
from task_queue.api.client.members import Filters, Redrive
from task_queue.api.client.operation import Pages, listing, operation
from task_queue.api.client.operations.base import Base, given, one, several
from task_queue.api.client.request import get, post
from task_queue.api.client.results.dead_letters import DeadGroup, Redriven
from task_queue.api.client.results.tasks import Task


class DeadLetterOperations(Base):
    """Dead letters."""

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
        return self._ask(get("/dead-letters/groups", several(DeadGroup, "groups"), query))

    @operation
    def redrive(self, **which: Unpack[Redrive]) -> Flow[Redriven]:
        """Put dead tasks that match back on their queues, the oldest first; see `Redrive`."""
        body = given(which)
        return self._ask(post("/dead-letters/redrive", one(Redriven), body, repeatable=False))
