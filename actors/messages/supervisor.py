"""What the supervisor can be told and asked."""

from dataclasses import dataclass

from task_queue.actors.messages.base import Command, Request


@dataclass(frozen=True, slots=True)
class Boot(Request[None]):
    """Start every child, in order. Answered when all are up, or with why one is not."""


@dataclass(frozen=True, slots=True)
class Stop(Request[None]):
    """Stop every child, in reverse order. Answered when all had their chance."""


@dataclass(frozen=True, slots=True)
class ListChildren(Request[dict[str, bool]]):
    """Which children there are, and whether each is up."""


@dataclass(frozen=True, slots=True)
class CountStuck(Request[int]):
    """How many children that were replaced are still stuck in what they did."""


@dataclass(frozen=True, slots=True)
class Retire(Command):
    """Stop these children and forget them.

    Attributes:
        names: Which.
    """

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Replace(Command):
    """Leave a child behind that does not come back, and start another in its place.

    Attributes:
        name: The child.
    """

    name: str


@dataclass(frozen=True, slots=True)
class Died(Command):
    """A child crashed.

    Attributes:
        name: The child.
        incarnation: Which of its lives ended; an earlier one than the present is is ignored.
        error: What it died of.
    """

    name: str
    incarnation: int
    error: str
