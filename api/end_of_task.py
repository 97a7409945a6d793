"""Answers that wait for a task's end, as `Prefer: wait=N` asks for."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from task_queue.actors.errors import AnswerTimeoutError, TaskQueueError
from task_queue.actors.messages.reader import GetTask
from task_queue.actors.messages.writer import Watch
from task_queue.actors.tasks.states import FINAL
from task_queue.actors.tasks.task import Attempt, Task
from task_queue.api.edge import Edge
from task_queue.api.responses.answer import Answer
from task_queue.api.responses.late import Late, Wait

Found = tuple[Task, list[Attempt]] | None
"""A task with its attempts; None: there is none."""


@dataclass(frozen=True, slots=True)
class EndOfTask:
    """Parks an answer until a task is final or the time is over, then looks it up and answers.

    Attributes:
        edge: The way to the database.
        task_id: The task's id.
        until: When the time is over, on the clock that is never set.
        found: Makes the answer to the task as it is then.
        refuse: Makes the answer if the task cannot be looked up.
        has_row: Whether the task is in the database now, unless it has been deleted.
        queues: Those that the client sees; None: all.
    """

    edge: Edge
    task_id: str
    until: float
    found: Callable[[Found], Answer | Late[Any]]
    refuse: Callable[[TaskQueueError], Answer]
    has_row: bool = True
    queues: frozenset[str] | None = None

    def looked_for(self) -> Late[Any]:
        """Return the wait for a task of which nothing is known.

        The watch comes before the look: what ends in between is seen by one of the two.
        """
        return self._look(partial(self._seen, self.edge.watch(self.task_id, self.until)))

    def as_it_is(self) -> Late[Any]:
        """Return the wait for the task as it is now, final or not."""
        return self._look(self.found)

    def watched(self, watch: Watch) -> Late[Any]:
        """Return the wait for a task that was not final when it began to be watched."""
        self.edge.waits.add(watch, has_row=self.has_row)
        return Late(watch.reply_to, self._over, Wait(self.until, watch.leave), self.refuse)

    def _seen(self, watch: Watch, found: Found) -> Answer | Late[Any]:
        is_over = self.has_row if found is None else found[0].status in FINAL
        if is_over:
            watch.leave()
            return self.found(found)
        return replace(self, has_row=self.has_row or found is not None).watched(watch)

    def _over(self, is_final: bool) -> Late[Any]:  # noqa: FBT001 - the reply's value
        return self._look(self._seen_at_end if is_final else self.found)

    def _seen_at_end(self, found: Found) -> Answer | Late[Any]:
        if found is not None and found[0].status not in FINAL:
            return self.looked_for()  # somebody has put it back meanwhile
        if found is None and not self.has_row and self.queues is not None:
            return self.looked_for()  # or the answer would tell that a task has ended elsewhere
        return self.found(found)

    def _look(self, done: Callable[[Found], Answer | Late[Any]]) -> Late[Any]:
        reply = self.edge.system.reader.ask_later(GetTask(self.task_id, self.queues))
        error = AnswerTimeoutError("no answer from the database in time")
        wait = Wait(self.edge.deadline, partial(reply.fail, error), stops=False)
        return Late(reply, done, wait, self.refuse)
