"""What is answered about who works."""

from typing import Literal

from task_queue.api.contract.documents.document import Count, Document


class RunningDocument(Document):
    """A task that runs.

    Attributes:
        id: Its id.
        action: Its action.
        queue: Its queue.
        attempt: The number of this attempt, from 1.
        started_at: Since when, Unix seconds.
    """

    id: str
    action: str
    queue: str
    attempt: int
    started_at: float


class NodeDocument(Document):
    """A process that runs consumers.

    Attributes:
        name: `host:process`, as in the `worker` of its tasks.
        version: Of the program.
        started_at: Since when it runs, Unix seconds.
        seen_at: When it last said so, Unix seconds.
        status: Whether it takes tasks, is about to end, or has said nothing for 30 seconds.
        queues: How many consumers each of its queues has, by name.
        running: The tasks that it has claimed.
    """

    name: str
    version: str
    started_at: float
    seen_at: float
    status: Literal["alive", "draining", "silent"]
    queues: dict[str, Count]
    running: list[RunningDocument]


class WorkerDocument(Document):
    """A worker that holds leases.

    Attributes:
        name: As it calls itself.
        running: The tasks that it has leased.
    """

    name: str
    running: list[RunningDocument]


class NodeList(Document):
    """Who works.

    Attributes:
        nodes: By name; with a key that is restricted to some queues, those that have one of them.
        workers: By name.
    """

    nodes: list[NodeDocument]
    workers: list[WorkerDocument]
