"""What the database reader can be asked."""

from collections.abc import Mapping
from dataclasses import dataclass

from task_queue.actors.messages.base import Request
from task_queue.actors.tasks.audit import AuditEntry, AuditFilters
from task_queue.actors.tasks.figures import Figures
from task_queue.actors.tasks.filters import ALL, Cursor, DeadGroup, Filters, LeftOut
from task_queue.actors.tasks.keys import StoredKey
from task_queue.actors.tasks.nodes import Node, RunningTask
from task_queue.actors.tasks.schedule import Schedule
from task_queue.actors.tasks.signs import Signs
from task_queue.actors.tasks.states import Status
from task_queue.actors.tasks.task import Attempt, Task


@dataclass(frozen=True, slots=True)
class ListTasks(Request[tuple[list[Task], Cursor | None]]):
    """Tasks, and where the next page begins if there are more.

    Attributes:
        limit: At most so many.
        filters: Which tasks, in which order.
        after: Only those behind this place; None: from the beginning.
    """

    limit: int
    filters: Filters = ALL
    after: Cursor | None = None


@dataclass(frozen=True, slots=True)
class GetTask(Request[tuple[Task, list[Attempt]] | None]):
    """One task with its attempts, or None if there is none.

    Attributes:
        task_id: The task's id.
        queues: Those that the caller sees; None: all.
    """

    task_id: str
    queues: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class FindEnded(Request[Mapping[str, bool]]):
    """Those of these tasks that are final or not there, by id, with whether they are there.

    Attributes:
        task_ids: The tasks' ids.
    """

    task_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FindDead(Request[tuple[list[str], LeftOut]]):
    """The ids of dead tasks, the oldest first, and how many were left out.

    Attributes:
        filters: Which tasks.
        limit: At most so many.
        isolated: The actions whose tasks are not left out, as they cannot take a process of ours
            down any more.
    """

    filters: Filters
    limit: int
    isolated: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class FindTasks(Request[tuple[list[str], Cursor | None]]):
    """The ids of tasks, and where to go on if there may be more.

    Attributes:
        filters: Which tasks, in which order.
        limit: At most so many.
        after: Only those behind this place; None: from the beginning.
    """

    filters: Filters
    limit: int
    after: Cursor | None = None


@dataclass(frozen=True, slots=True)
class FindNamed(Request[list[str]]):
    """Those of these ids that are of tasks that match.

    Attributes:
        filters: Which tasks.
        task_ids: The ids.
    """

    filters: Filters
    task_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ListDeadGroups(Request[list[DeadGroup]]):
    """Groups of dead tasks with the same error, the greatest first.

    Attributes:
        filters: Of which queues and action.
        limit: At most so many.
    """

    filters: Filters
    limit: int


@dataclass(frozen=True, slots=True)
class CountTasks(Request[dict[str, dict[Status, int]]]):
    """How many tasks there are, by queue and state."""


@dataclass(frozen=True, slots=True)
class OldestReady(Request[float | None]):
    """Since when the longest-ready task waits, Unix seconds; None if none is ready.

    Attributes:
        queue: The queue's name.
    """

    queue: str


@dataclass(frozen=True, slots=True)
class NextReady(Request[float | None]):
    """Since when the task waits that a consumer is to claim next, Unix seconds; None: none does.

    Attributes:
        queue: The queue's name.
    """

    queue: str


@dataclass(frozen=True, slots=True)
class GetFigures(Request[Mapping[str, Mapping[int, Figures]]]):
    """What happened on the queues, by queue and number of the step; those with nothing are missing.

    Attributes:
        begin: The first minute, Unix seconds divided by 60.
        steps: How many steps.
        minutes: How long each is.
        queues: The names of the queues; None: all.
    """

    begin: int
    steps: int
    minutes: int
    queues: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class ListNodes(Request[list[Node]]):
    """All nodes, by name."""


@dataclass(frozen=True, slots=True)
class ListRunning(Request[list[RunningTask]]):
    """The tasks that run, as many as are shown at once.

    Attributes:
        queues: Those that the caller sees; None: all.
    """

    queues: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class MeasureDatabase(Request[int]):
    """How large a database on a server is, in bytes."""


@dataclass(frozen=True, slots=True)
class FindSigns(Request[Signs]):
    """What trouble can be seen in.

    Attributes:
        now: The present moment, Unix seconds.
        queues: The names of the queues whose waits are looked at.
    """

    now: float
    queues: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ListSchedules(Request[list[Schedule]]):
    """All schedules, by name."""


@dataclass(frozen=True, slots=True)
class ListPaused(Request[set[str]]):
    """The names of the queues that are paused."""


@dataclass(frozen=True, slots=True)
class FindKey(Request[StoredKey | None]):
    """The key with this id, whether it holds or not, or None if there is none.

    Attributes:
        key_id: The public part of the key.
    """

    key_id: str


@dataclass(frozen=True, slots=True)
class HasKey(Request[bool]):
    """Whether any key holds.

    Attributes:
        now: The present moment, Unix seconds.
    """

    now: float


@dataclass(frozen=True, slots=True)
class ListAudit(Request[tuple[list[AuditEntry], int | None]]):
    """The newest entries of the audit log, and the number of the last if there are more.

    Attributes:
        filters: Which ones.
        limit: At most so many.
        before: Only those before this number; None: from the newest on.
    """

    filters: AuditFilters
    limit: int
    before: int | None = None
