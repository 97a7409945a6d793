"""How a queue starts, with its driver and its consumers: when all do, and at a reload."""

import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import pykka

from task_queue.actors.actions.load import end_fallback
from task_queue.actors.actions.registry import Registry
from task_queue.actors.consumer import Actions, ConsumerActor
from task_queue.actors.drivers.database import DatabaseDriver
from task_queue.actors.drivers.driver import Driver
from task_queue.actors.drivers.memory import MemoryDriver
from task_queue.actors.queue import QueueActor
from task_queue.actors.reload import RunningQueue
from task_queue.actors.runtime.actor import Life
from task_queue.actors.runtime.address import Address
from task_queue.actors.runtime.child import ChildSpec, Strategy
from task_queue.actors.tasks.meters import Meters


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueSpecs:
    """Tells how to start a queue and its consumers.

    Attributes:
        supervisor: Who replaces a consumer that hangs.
        writer: Who writes to the database.
        actions: The actions by name.
        runner: Runs them for the consumers.
        node: The name of this node in the rows that its queues claim.
        sole_owner: Whether no other process uses the database.
        now: The present moment, Unix seconds.
        random: Gives a number in [0, 1), for the jitter.
        meters: What is counted.
    """

    supervisor: Address
    writer: Address
    actions: Registry
    runner: Actions
    node: str
    sole_owner: bool
    now: Callable[[], float]
    random: Callable[[], float]
    meters: Meters

    def __call__(self, queue: RunningQueue) -> Iterator[ChildSpec]:
        """Yield a queue, then its consumers, which depend on it and on no other."""
        yield ChildSpec(
            queue.address,
            lambda life: self._start_queue(life, queue),
            strategy=Strategy.REST_FOR_ONE,
            group=queue.name,
        )
        for consumer in queue.consumers.values():
            yield ChildSpec(
                consumer, lambda life: self._start_consumer(life, queue), group=queue.name
            )

    def _start_queue(self, life: Life, queue: RunningQueue) -> pykka.ActorRef[Any]:
        return QueueActor.start(
            life,
            driver=self._driver(queue),
            consumers=queue.consumers,
            supervisor=self.supervisor,
            prefetch=queue.prefetch,
            backoff=queue.info.backoff,
            now=self.now,
            monotonic=time.monotonic,
            random=self.random,
            meter=self.meters.of_queue(queue.name),
        )

    def _driver(self, queue: RunningQueue) -> Driver:
        if queue.settings.driver == "memory":
            return MemoryDriver(
                queue=queue.name,
                queue_address=queue.address,
                writer=self.writer,
                now=self.now,
                on_published=self.meters.of_queue(queue.name).published,
            )
        return DatabaseDriver(
            queue=queue.name,
            queue_address=queue.address,
            writer=self.writer,
            lease_seconds=queue.settings.lease_seconds,
            sole_owner=self.sole_owner,
            worker=self.node,
            limits=queue.info.limits,
            now=self.now,
            monotonic=time.monotonic,
            random=self.random,
            random_bits=secrets.randbits,
            on_own_actions=partial(end_fallback, self.actions),
        )

    def _start_consumer(self, life: Life, queue: RunningQueue) -> pykka.ActorRef[Any]:
        return ConsumerActor.start(
            life,
            queue=queue.address,
            queue_name=queue.name,
            actions=self.runner,
            now=self.now,
            monotonic=time.monotonic,
        )
