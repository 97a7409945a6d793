"""Who waits for the end of which task, and is told of it after the commit."""

from collections.abc import Sequence

from task_queue.actors.errors import TaskQueueError
from task_queue.actors.messages.changes import CancelTask, CancelTasks, DeleteTask, DeleteTasks
from task_queue.actors.messages.reply import Reply
from task_queue.actors.messages.writer import Hear, Insert, Settle, Watch
from task_queue.actors.store.notices import AnyWrite
from task_queue.actors.tasks.states import FINAL
from task_queue.actors.tasks.verdict import Refusal, Taken

FIRST_FULL = 1_000
"""At how many watches to look for the first time which of them somebody still waits for."""


class Watches:
    """Who waits for the end of which task; see `Watch`."""

    def __init__(self) -> None:
        self._by_task: dict[str, list[Watch]] = {}
        self._count = 0  # of those added since all were looked at, and of those that stayed then
        self._full_at = FIRST_FULL

    def __bool__(self) -> bool:
        return bool(self._by_task)

    def add(self, watch: Watch, now: float) -> None:
        """Note who waits; now and then forget those that do so no more.

        Args:
            watch: Who waits for what.
            now: The present moment, on the clock that is never set.
        """
        self._by_task.setdefault(watch.task_id, []).append(watch)
        self._count += 1
        if self._count >= self._full_at:
            self._forget(now)

    def _forget(self, now: float) -> None:
        still = [
            each
            for watches in self._by_task.values()
            for each in watches
            if each.until > now and not each.reply_to.is_done
        ]
        self._by_task.clear()
        for each in still:
            self._by_task.setdefault(each.task_id, []).append(each)
        self._count = len(still)
        self._full_at = max(FIRST_FULL, 2 * self._count)

    def tell(self, writes: Sequence[AnyWrite]) -> None:
        """Answer those that wait for the end of tasks that these writes, now on disk, may be."""
        for write in writes:
            for task_id in _ended(write):
                for watch in self._by_task.pop(task_id, ()):
                    watch.reply_to.answer(True)  # noqa: FBT003 - the reply's value


def _ended(write: AnyWrite) -> Sequence[str]:
    """Return the ids of the tasks that this write, if it took effect, has ended or removed."""
    match write:
        case Settle(settlement=settlement) if settlement.status in FINAL:
            return (settlement.lease.task_id,)
        case Insert(tasks=(task,)) if task.status in FINAL:  # of a queue in memory
            return (task.id,)
        case Hear(waiter=waiter):
            return _ended_by(waiter)
        case CancelTask() | DeleteTask():
            return (write.task_id,)
        case CancelTasks() | DeleteTasks():
            return write.task_ids
        case _:
            return ()


def _ended_by(waiter: "Reply[tuple[Taken | Refusal, ...]]") -> Sequence[str]:
    """Return the ids of the tasks that are final by what workers over HTTP said."""
    try:
        outcomes = waiter.outcome()
    except TaskQueueError:
        return ()
    return [each.task_id for each in outcomes if isinstance(each, Taken) and each.status in FINAL]
