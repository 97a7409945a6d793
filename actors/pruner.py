"""The pruner: deletes what was kept long enough, in steps that delay nobody."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from task_queue.actors.messages.base import Message, Recipient
from task_queue.actors.messages.clock import Tick
from task_queue.actors.messages.nodes import SayAlive
from task_queue.actors.messages.pruner import Pruned
from task_queue.actors.messages.writer import Prune, WriteFailed
from task_queue.actors.runtime.actor import Actor, Life
from task_queue.actors.tasks.nodes import ALIVE_SECONDS, Node
from task_queue.actors.tasks.states import Status

STEP_SECONDS = 1.0
"""How long to wait after a step that found nothing; after others the next comes at once."""
SWEEP_SECONDS = 60.0
"""How long to wait after a sweep through the old tasks before the next."""


class Pruner(Actor):
    """Tells the writer to do one step of housekeeping every second, a small part of a commit.

    Expired tasks become dead; final ones are deleted after their time, and entries of the audit log
    after theirs; a SQLite file gives their space back. Now and then a step also says that this node
    lives.
    """

    def __init__(  # noqa: PLR0913 - wired in one place
        self,
        life: Life,
        *,
        address: Recipient,
        writer: Recipient,
        retention: Mapping[Status, int],
        audit_seconds: int,
        node: Callable[[], Node],
        alone: bool,
        now: Callable[[], float],
    ) -> None:
        """Store what is needed.

        Args:
            life: This actor's life.
            address: This actor's own, where answers go.
            writer: The database writer.
            retention: Seconds that tasks are kept, by their final state.
            audit_seconds: Seconds that entries of the audit log are kept.
            node: Returns this node, as it is now.
            alone: Whether no other node uses the database.
            now: The present moment, Unix seconds.
        """
        super().__init__(life)
        self._address = address
        self._writer = writer
        self._retention = retention
        self._audit_seconds = audit_seconds
        self._now = now
        self._node = node
        self._alone = alone
        self._said: Node | None = None  # of this node, the last time
        self._busy = False  # a step is under way
        self._sweeps = False  # and it looks for old tasks
        self._step_at = 0.0
        self._sweep_at = 0.0
        self._last: Pruned | None = None

    def setup(self) -> None:
        """Say that this node lives."""
        self._say_alive()

    def receive(self, message: Message) -> None:
        """Handle one message."""
        match message:
            case Tick():
                # The clock may go back: compare the distance, not the order.
                if not self._busy and not 0 < self._step_at - message.now <= STEP_SECONDS:
                    self._step(message.now)
            case Pruned():
                self._on_pruned(message)
            case WriteFailed(write=SayAlive()):
                self._said = None
            case WriteFailed():
                self._busy = False
            case _:
                self.unexpected(message)

    def _step(self, now: float) -> None:
        self._busy = True
        self._step_at = now + STEP_SECONDS
        self._say_alive()
        self._sweeps = not 0 < self._sweep_at - now <= SWEEP_SECONDS
        after, terms_after = None, -1
        if self._last is not None:
            after, terms_after = self._last.swept_to, self._last.terms_to
        self._writer.tell(
            Prune(
                self._address,
                now,
                self._retention,
                after,
                self._sweeps,
                self._audit_seconds,
                terms_after,
            )
        )

    def _say_alive(self) -> None:
        """Tell the other nodes, if something has changed or it is time to."""
        node, said = self._node(), self._said
        if (
            said is None
            or not 0 <= node.seen_at - said.seen_at < ALIVE_SECONDS
            or replace(node, seen_at=said.seen_at) != said
        ):
            self._said = node
            self._writer.tell(SayAlive(self._address, node, self._alone))

    def _on_pruned(self, pruned: Pruned) -> None:
        self._busy = False
        self._last = pruned
        now = self._now()
        if self._sweeps and pruned.swept_to is None:
            self._sweep_at = now + SWEEP_SECONDS  # this one is over
        if pruned.removed:
            self._step(now)
