"""The answer to `POST /tasks`: that the task is on its queue, or all of it once it is final."""

from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Any

from orjson import dumps

from task_queue.actors.errors import AnswerTimeoutError
from task_queue.actors.messages.changes import KeepAnswer
from task_queue.actors.messages.queue import Publish
from task_queue.actors.messages.writer import Watch
from task_queue.actors.tasks.conditions import ACCEPTED, FINISHED, Published
from task_queue.actors.tasks.states import FINAL
from task_queue.actors.tasks.task import Receipt
from task_queue.api.edge import Edge
from task_queue.api.end_of_task import EndOfTask, Found
from task_queue.api.requests import idempotency, prefer
from task_queue.api.responses import published as shapes
from task_queue.api.responses import urls
from task_queue.api.responses.answer import JSON, Answer, Headers
from task_queue.api.responses.documents import history_document
from task_queue.api.responses.errors import late_refusal
from task_queue.api.responses.late import Late, Wait


@dataclass(frozen=True, slots=True)
class PublishAnswer:
    """What the publish of one task is answered with.

    With an `Idempotency-Key` it is on disk how it is answered before it is, so that a repetition
    has the same answer, whichever node it comes to and whatever dies in between.

    Attributes:
        edge: The way to the actors.
        publish: What the queue is asked.
        has_row: Whether the task is in the database before it is final.
        may_read: Whether it may show a task that somebody else has published.
    """

    edge: Edge
    publish: Publish
    has_row: bool
    may_read: bool = True

    def at_once(self, published: Published | None) -> Answer | Late[Any] | None:
        """Return the answer if the client does not wait for the task's end."""
        if published is not None and published.answered == FINISHED:
            [receipt] = published.receipts
            if self.may_read or not receipt.duplicate:  # the first one's key may have been another
                return self._whole(receipt, shapes.headers(self.publish, published))
        return shapes.decided(self.publish, shapes.one, published)

    def in_time(
        self, seconds: int, watch: Watch, published: Published | None
    ) -> Answer | Late[Any] | None:
        """Return the answer once the task is final or the time is over.

        Args:
            seconds: How long the client waits.
            watch: The watch of the task, since before it was published.
            published: What has come of the publish.
        """
        if published is None:
            [task] = self.publish.tasks
            receipt, headers = Receipt(task.id, task.status.shown, duplicate=False), Headers()
        elif published.answered is not None:
            return self.at_once(published)
        else:
            [receipt] = published.receipts
            headers = shapes.headers(self.publish, published)
            if receipt.duplicate and not self.may_read:
                return shapes.one([receipt], headers)
        headers = [*headers, prefer.applied(seconds)]
        accepted = shapes.one([receipt], headers)
        end = EndOfTask(
            self.edge,
            receipt.task_id,
            watch.until,
            partial(self._found, receipt, headers),
            late_refusal if idempotency.key_of(self.publish) else lambda _: accepted,
            has_row=self.has_row,
        )
        return end.watched(watch) if receipt.task_id == watch.task_id else end.looked_for()

    def _found(self, receipt: Receipt, headers: Headers, found: Found) -> Answer | Late[Any]:
        is_final = found is not None and found[0].status in FINAL
        answered = FINISHED if is_final else ACCEPTED
        if (key := idempotency.key_of(self.publish)) is None:
            return _answer(answered, receipt, headers, found)
        reply = self.edge.system.writer.ask_later(KeepAnswer(key, answered))
        error = AnswerTimeoutError("no answer in time")
        return Late(
            reply,
            partial(self._kept, receipt, headers, found if is_final else None),
            Wait(self.edge.deadline, partial(reply.fail, error), stops=False),
        )

    def _kept(
        self, receipt: Receipt, headers: Headers, final: Found, answered: int
    ) -> Answer | Late[Any]:
        if answered == FINISHED and final is None:  # another node has seen its end meanwhile
            return self._whole(receipt, headers)
        return _answer(answered, receipt, headers, final)

    def _whole(self, receipt: Receipt, headers: Headers) -> Late[Any]:
        found = partial(_answer, FINISHED, receipt, headers)
        return EndOfTask(self.edge, receipt.task_id, 0.0, found, late_refusal).as_it_is()


def _answer(answered: int, receipt: Receipt, headers: Headers, found: Found) -> Answer:
    """Return the whole task, or what was said of it when it was published.

    So it is also with a task that was deleted as soon as it was final: a client that takes an error
    for an answer might publish it again.
    """
    if answered == ACCEPTED or found is None:
        return shapes.one([receipt], headers)
    location = ("Location", urls.url(f"/tasks/{receipt.task_id}"))
    body = dumps(history_document(*found))
    return Answer(HTTPStatus.OK, [("Content-Type", JSON), location, *headers], body)
