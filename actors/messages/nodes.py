"""What the database writer can be told of the nodes."""

from dataclasses import dataclass

from task_queue.actors.messages.writer import Write
from task_queue.actors.tasks.nodes import Node


@dataclass(frozen=True, slots=True)
class SayAlive(Write):
    """Store that a node lives. Nobody is told.

    Attributes:
        node: The node.
        alone: Whether no other uses the database.
    """

    node: Node
    alone: bool


@dataclass(frozen=True, slots=True)
class SayFarewell(Write):
    """Forget a node, which ends as it should. Nobody is told.

    Attributes:
        name: Its name.
    """

    name: str
