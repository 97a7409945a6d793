"""The messages to the lessor, which leases tasks to workers over HTTP."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from task_queue.actors.messages.base import Command, Notice, Request
from task_queue.actors.messages.writer import Lend
from task_queue.actors.tasks.claim import LeasedTask
from task_queue.actors.tasks.verdict import Refusal, Said, Taken


@dataclass(frozen=True, slots=True)
class LeaseTasks(Request[tuple[LeasedTask, ...]]):
    """Lease ready tasks to a worker, as soon as there are any.

    Whoever asks ends the wait by answering the reply itself. What is claimed for a reply that has
    its answer goes back.

    Attributes:
        queue: The queue's name.
        actions: What the worker does.
        limit: How many tasks at most.
        lease_seconds: How long the leases are to last.
        worker: The worker's name.
        waits: Whether to wait for tasks; otherwise the answer is what is ready now.
    """

    queue: str
    actions: tuple[str, ...]
    limit: int
    lease_seconds: float
    worker: str
    waits: bool


@dataclass(frozen=True, slots=True)
class GiveBack(Command):
    """Give back what was leased to somebody who never heard of it; the attempts do not count.

    Attributes:
        leased: The tasks.
    """

    leased: tuple[LeasedTask, ...]


@dataclass(frozen=True, slots=True)
class SettleLeases(Request[tuple[Taken | Refusal, ...]]):
    """Write what workers say about their leases, in one commit. Answered in the same order.

    Attributes:
        said: What they say; each lease once.
        queues: The queues that they may see; None: all.
    """

    said: tuple[Said, ...]
    queues: Collection[str] | None = None


@dataclass(frozen=True, slots=True)
class GetLent(Request[Mapping[str, Mapping[str, float]]]):
    """How many tasks per second workers have completed and failed, by queue: see `Rates`."""


@dataclass(frozen=True, slots=True)
class ExternalStored(Command):
    """Tasks for workers over HTTP are on disk.

    Attributes:
        queues: The queues they are on.
    """

    queues: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Lent(Notice):
    """What there was is leased.

    Attributes:
        lend: What was asked for.
        lots: What each bid got, in their order.
        more: Whether there may be more ready tasks for them.
    """

    lend: Lend
    lots: tuple[tuple[LeasedTask, ...], ...]
    more: bool


@dataclass(frozen=True, slots=True)
class Heard(Notice):
    """Verdicts are on disk, or refused.

    Attributes:
        task_ids: The ids of the tasks they are about.
        outcomes: What became of each.
    """

    task_ids: tuple[str, ...]
    outcomes: tuple[Taken | Refusal, ...]


@dataclass(frozen=True, slots=True)
class Marked(Notice):
    """A step of marking tasks that workers over HTTP do is done.

    Attributes:
        after: The row number where it ended; None: all tasks are marked.
        more: Whether to go on at once.
    """

    after: int | None
    more: bool
