"""The service itself: what it can do, who works in it, how it is, and what was asked of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from task_queue.api.client.results.document import read


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """Something that a task can do.

    Attributes:
        name: Its name.
        kind: What it is made of.
        description: What it does, in a line.
        execution: Where it runs: in a thread, in a process, or by a worker.
        timeout_seconds: What an attempt may take; None: there is no limit.
        schema: The JSON Schema of its data; None: any object will do.
    """

    name: str
    kind: str = ""
    description: str | None = None
    execution: str = ""
    timeout_seconds: float | None = None
    schema: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """Something that was asked for.

    Attributes:
        at: When.
        who: The key's name.
        what: The operation.
        target: The path, or the name of a key.
        source: The address of the client, or the name of the machine.
        status: How it was answered; None: that is not known.
    """

    at: float
    who: str
    what: str
    target: str
    source: str
    status: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A task that somebody runs.

    Attributes:
        id: Its id.
        action: What is done.
        queue: Its queue.
        attempt: Which attempt this is.
        started_at: When it began.
    """

    id: str
    action: str
    queue: str
    attempt: int = 1
    started_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A process of the service.

    Attributes:
        name: Its name, as `host:process`.
        version: Of the program.
        status: `alive`, `draining` or `silent`.
        started_at: When it began.
        seen_at: When it last said that it is there.
        queues: How many consumers it has for each queue.
        running: What it runs.
    """

    name: str
    version: str = ""
    status: str = "alive"
    started_at: float | None = None
    seen_at: float | None = None
    queues: Mapping[str, int] = field(default_factory=dict)
    running: Sequence[Run] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """A program that leases tasks.

    Attributes:
        name: The name that it gave.
        running: What it has leased.
    """

    name: str
    running: Sequence[Run] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Workforce:
    """Who works.

    Attributes:
        nodes: The processes of the service.
        workers: The programs that lease tasks.
    """

    nodes: Sequence[Node]
    workers: Sequence[Worker]

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "Workforce":
        """Return who works by an answer."""
        return cls(
            nodes=tuple(read(Node, each, running=_runs(each)) for each in document["nodes"]),
            workers=tuple(read(Worker, each, running=_runs(each)) for each in document["workers"]),
        )


def _runs(document: Mapping[str, Any]) -> tuple[Run, ...]:
    return tuple(read(Run, each) for each in document.get("running", ()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """Whether work gets done.

    Attributes:
        status: `ready` or `not ready`.
        problems: What is wrong.
        warnings: What will be if nobody looks after it.
    """

    status: str
    problems: Sequence[str] = ()
    warnings: Sequence[str] = ()

    @property
    def is_ready(self) -> bool:
        """Whether work gets done."""
        return self.status == "ready"
