"""Starts the actors in order, restarts what dies and what depends on it, stops them in reverse."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pykka

from task_queue.actors.errors import TaskQueueError
from task_queue.actors.messages.base import Command, Message
from task_queue.actors.messages.supervisor import (
    Boot,
    CountStuck,
    Died,
    ListChildren,
    Replace,
    Retire,
    Stop,
)
from task_queue.actors.runtime.actor import Actor, Life
from task_queue.actors.runtime.address import Address
from task_queue.actors.runtime.child import (
    BOOT_SECONDS,
    Add,
    ChildSpec,
    Intensity,
    Restart,
    Strategy,
)
from task_queue.actors.tasks.backoff import Backoff

ONE_SHOT_SECONDS = 3_600.0
"""How long the `setup` of a one-shot child may take, which does all its work there: a large table
is migrated."""
STOP_SECONDS = 2.0
"""How long all children together may take to stop. Only a consumer inside an action takes longer:
it is left behind, and its late result is accepted or refused by its lease."""
REPLACE_SECONDS = 1.0
"""How long to wait before trying again to replace a child when too many are stuck."""


@dataclass(slots=True, eq=False)
class _Child:
    spec: ChildSpec
    incarnation: int = 0
    ref: pykka.ActorRef[Any] | None = None
    held_back: bool = False

    @property
    def up(self) -> bool:
        return self.ref is not None and self.ref.is_alive()


@dataclass(frozen=True, slots=True)
class _Restart(Command):
    number: int


def after(seconds: float, call: Callable[[], None]) -> None:
    """Call the function after so many seconds, from a thread of its own.

    The clock is not used: the supervisor must not depend on what it supervises.
    """
    timer = threading.Timer(seconds, call)
    timer.daemon = True
    timer.start()


class Supervisor(Actor):
    """The parent of all other actors.

    It waits for a child only while that starts or stops; in between it is told of deaths.
    """

    def __init__(  # noqa: PLR0913 - wired in one place
        self,
        life: Life,
        *,
        specs: Sequence[ChildSpec],
        address: Address,
        intensity: Intensity,
        backoff: Backoff,
        max_stuck: Callable[[], int],
        on_too_many_restarts: Callable[[], None],
        now: Callable[[], float],
        random: Callable[[], float],
        after: Callable[[float, Callable[[], None]], None] = after,
        restarts: Counter[str] | None = None,
    ) -> None:
        """Store what is needed.

        Args:
            life: This actor's own life.
            specs: The children, in start order.
            address: This actor's own address, where children report their death.
            intensity: How many deaths are tolerated.
            backoff: How long to wait before a restart.
            max_stuck: Returns how many children that were left behind may be stuck at once; beyond
                that none is replaced.
            on_too_many_restarts: Called once, when more deaths came than are tolerated.
            now: The present moment, seconds.
            random: Gives a number in [0, 1), for the jitter.
            after: Calls a function after so many seconds.
            restarts: Counts the restarts, by `ChildSpec.kind`.
        """
        super().__init__(life)
        self._children = [_Child(spec) for spec in specs]
        self._address = address
        self._intensity = intensity
        self._backoff = backoff
        self._on_too_many_restarts = on_too_many_restarts
        self._now = now
        self._random = random
        self._after = after
        self._restarts = Counter() if restarts is None else restarts
        # From 0 on, or the first of each would not show as an increase.
        kept = [spec for spec in specs if spec.restart is Restart.PERMANENT]
        self._restarts.update({spec.kind: 0 for spec in kept})
        self._max_stuck = max_stuck
        self._left_behind: list[pykka.ActorRef[Any]] = []
        self._restarts_scheduled = 0
        self._stopping = False

    def receive(self, message: Message) -> None:
        """Handle one message."""
        match message:
            case Boot():
                self._boot(message)
            case Died():
                self._on_death(message)
            case _Restart():
                self._restart(message)
            case ListChildren():
                message.reply_to.answer(
                    {
                        child.spec.name: child.up
                        for child in self._children
                        if child.spec.restart is Restart.PERMANENT
                    }
                )
            case Add():
                self._add(message)
            case Retire():
                self._retire(message)
            case Replace():
                self._replace(message)
            case CountStuck():
                message.reply_to.answer(self._count_stuck())
            case Stop():
                self._stopping = True
                self._stop_children(self._children)
                message.reply_to.answer(None)
            case _:
                self.unexpected(message)

    def _boot(self, boot: Boot) -> None:
        try:
            for child in self._children:
                self._start(child)
        except TaskQueueError:
            self._stopping = True
            self._stop_children(self._children)
            raise
        boot.reply_to.answer(None)

    def _add(self, add: Add) -> None:
        for spec in add.specs:
            child = _Child(spec)
            self._children.append(child)
            self._start(child)
        add.reply_to.answer(None)

    def _retire(self, retire: Retire) -> None:
        retired = [child for child in self._children if child.spec.name in retire.names]
        self._children = [child for child in self._children if child not in retired]
        self._stop_children(retired)

    def _start(self, child: _Child) -> None:
        child.incarnation += 1
        life = Life(child.spec.address, self._address, child.incarnation)
        child.ref = child.spec.start(life)
        one_shot = child.spec.restart is Restart.ONE_SHOT
        life.started.wait(ONE_SHOT_SECONDS if one_shot else BOOT_SECONDS)
        self.log.debug("actor started", child=child.spec.name, incarnation=child.incarnation)

    def _on_death(self, died: Died) -> None:
        child = self._child(died.name)
        if self._stopping or child is None or died.incarnation != child.incarnation:
            return
        position = self._children.index(child)
        if child.spec.strategy is Strategy.REST_FOR_ONE:
            self._stop_children(
                [
                    other
                    for other in self._children[position + 1 :]
                    if child.spec.group in {None, other.spec.group}
                ]
            )
        self._schedule_restart(died.name, died.error)

    def _schedule_restart(self, name: str, error: str) -> None:
        now = self._now()
        deaths = self._intensity.count(now)
        if deaths > self._intensity.max_restarts:
            self.log.critical(
                "too many deaths, giving up",
                child=name,
                deaths=deaths,
                period_seconds=self._intensity.period_seconds,
            )
            self._stopping = True
            self._on_too_many_restarts()
            return
        delay = self._backoff.delay_seconds(deaths, self._random)
        self._restarts_scheduled += 1
        restart = _Restart(self._restarts_scheduled)
        self._after(delay, lambda: self._address.tell(restart))
        self.log.warning("actor will be restarted", child=name, delay_seconds=delay, error=error)

    def _restart(self, restart: _Restart) -> None:
        if self._stopping or restart.number != self._restarts_scheduled:
            return  # a later death has postponed it
        for child in self._children:
            if child.spec.restart is Restart.PERMANENT and not (child.up or child.held_back):
                try:
                    self._start(child)
                except TaskQueueError as error:
                    self._schedule_restart(child.spec.name, str(error))
                    return
                self._restarts[child.spec.kind] += 1
                self.log.info("actor restarted", child=child.spec.name)

    def _replace(self, replace: Replace) -> None:
        child = self._child(replace.name)
        if self._stopping or child is None:
            return
        if child.ref is not None:
            child.ref.stop(block=False)  # takes effect when its action returns
            self._left_behind.append(child.ref)
            child.ref = None
        stuck = self._count_stuck()
        child.held_back = stuck > self._max_stuck()
        if child.held_back:
            self.log.critical(
                "too many threads are stuck, not replaced", child=replace.name, stuck=stuck
            )
            self._after(REPLACE_SECONDS, lambda: self._address.tell(replace))
            return
        try:
            self._start(child)
        except TaskQueueError as error:
            self._schedule_restart(child.spec.name, str(error))

    def _child(self, name: str) -> _Child | None:
        """Return the child by this name, or None if it was retired."""
        return next((child for child in self._children if child.spec.name == name), None)

    def _count_stuck(self) -> int:
        self._left_behind = [ref for ref in self._left_behind if ref.is_alive()]
        return len(self._left_behind)

    def _stop_children(self, children: Sequence[_Child]) -> None:
        """Ask all of them to stop, the last one first, then wait for them."""
        asked = [
            (child, child.ref.stop(block=False))
            for child in reversed(children)
            if child.ref is not None
        ]
        deadline = time.monotonic() + STOP_SECONDS
        for child, stopped in asked:
            try:
                stopped.get(timeout=max(0.0, deadline - time.monotonic()))
            except pykka.Timeout:
                self.log.warning("actor left behind, still busy", child=child.spec.name)
            child.ref = None


class Watchdog:
    """Watches the supervisor itself: once it has died, nothing can be restarted."""

    def __init__(self, on_too_many_restarts: Callable[[], None]) -> None:
        self._on_too_many_restarts = on_too_many_restarts

    def tell(self, message: Command) -> None:
        """Report the supervisor's death as too many restarts."""
        if isinstance(message, Died):
            self._on_too_many_restarts()
