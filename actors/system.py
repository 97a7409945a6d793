"""The composition root: which actors there are, in which order they start, and with what."""

import os
import random
import secrets
import shutil
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pykka

from actors.actions.registry import Registry, load
from actors.actor import Life
from actors.address import Address
from actors.backoff import Backoff
from actors.clock import Clock
from actors.consumer import ConsumerActor
from actors.drivers.database import DatabaseDriver
from actors.drivers.driver import Driver
from actors.drivers.memory import MemoryDriver
from actors.errors import UnavailableError
from actors.keeper import Keeper
from actors.limits import QueueLimits
from actors.messages import Boot, Drain, Stop
from actors.migration import MigrationActor
from actors.publishing import QueueTraits
from actors.queue import QueueActor
from actors.reader import DatabaseReader
from actors.schedule import Schedule
from actors.scheduler import Scheduler
from actors.store.connect import Database
from actors.store.lock import FileLock
from actors.store.migrate import migrate
from actors.store.store import Store
from actors.supervisor import (
    BOOT_SECONDS,
    ONE_SHOT_SECONDS,
    ChildSpec,
    Intensity,
    Restart,
    Strategy,
    Supervisor,
    Watchdog,
)
from actors.task import Status
from actors.writer import DatabaseWriter, DiskFloor
from config.settings import DatabaseSettings, QueueSettings, Settings

QUEUE = "tasks"
"""The queue that a publish goes to unless it names another."""
SETTLE_GRACE_SECONDS = 5.0
"""How long the last results may take to be written after the drain's deadline."""
STOP_SECONDS = 10.0
"""How long stopping all actors may take; each has a second, and most take none of it."""
RESTART_BACKOFF = Backoff(base_seconds=0.2, factor=2.0, cap_seconds=30.0)


class ActorSystem:
    """All actors, started and stopped as one, and the addresses that the edges may ask."""

    def __init__(
        self,
        settings: Settings,
        *,
        on_hopeless: Callable[[], None],
        schedules: Sequence[Schedule] = (),
        now: Callable[[], float] = time.time,
    ) -> None:
        """Wire the actors; nothing runs yet.

        Args:
            settings: All of them; each actor gets only the plain values it needs.
            schedules: Those of the settings, found good.
            on_hopeless: Called once, from an actor's thread, when too many actors died too fast
                and the process should end.
            now: The present moment, Unix seconds.

        Raises:
            ActionLoadError: A configured action cannot be imported.
        """
        self.queues = {name: Address(f"queue-{name}") for name in settings.queues}
        self.traits = {name: traits(name, each) for name, each in settings.queues.items()}
        self.actions: Registry = load(
            settings.actions,
            fallback=settings.builtin.fallback,
            simulated_work_seconds=settings.builtin.simulated_work_seconds,
        )
        self.database = database(settings.database)
        self.reader = Address("reader")
        self.supervisor = Address("supervisor")
        self.writer = Address("writer")
        self._settings = settings
        self._on_hopeless = on_hopeless
        self._schedules = tuple(schedules)
        self._worker = f"{socket.gethostname()}:{os.getpid()}"
        self._now = now
        self._supervisor_ref: pykka.ActorRef[Supervisor] | None = None
        self._lock = FileLock(self.database.path) if self.database.is_sqlite else None

    def start(self) -> None:
        """Start everything, in order: migration, database, queue, consumers, clock.

        Raises:
            TaskQueueError: Something could not be started; nothing is left running.
        """
        if self._lock is not None:
            self._lock.acquire()
        intensity = self._settings.supervisor
        life = Life(self.supervisor, Watchdog(self._on_hopeless))
        self._supervisor_ref = Supervisor.start(
            life,
            specs=self._specs(),
            address=self.supervisor,
            intensity=Intensity(intensity.max_restarts, intensity.period_seconds),
            backoff=RESTART_BACKOFF,
            on_hopeless=self._on_hopeless,
            now=self._now,
            random=random.random,
        )
        try:
            life.started.wait(BOOT_SECONDS)
            self.supervisor.ask(Boot(), timeout=ONE_SHOT_SECONDS + BOOT_SECONDS)
        except BaseException:
            self._let_go()
            raise

    def stop(self, drain_seconds: float) -> tuple[str, ...]:
        """Drain the queues, then stop everything in reverse order.

        Args:
            drain_seconds: How long running tasks may take to finish.

        Returns:
            The ids of the tasks that were still running then and were given back.

        Raises:
            TaskQueueError: A queue could not be drained in time; everything is stopped all the
                same, and what was claimed is taken back at the next start.
        """
        try:
            return self._drain(drain_seconds)
        finally:
            self._let_go()

    def _drain(self, drain_seconds: float) -> tuple[str, ...]:
        """Drain all queues at the same time."""
        drains = [
            queue.ask_later(Drain(deadline=self._now() + drain_seconds))
            for queue in self.queues.values()
        ]
        deadline = time.monotonic() + drain_seconds + SETTLE_GRACE_SECONDS
        return tuple(
            task_id for drain in drains for task_id in drain.wait(deadline - time.monotonic())
        )

    def _let_go(self) -> None:
        try:
            self.supervisor.ask(Stop(), timeout=STOP_SECONDS)
        except UnavailableError:
            pass  # what is left are daemon threads, and they end with the process
        finally:
            if self._supervisor_ref is not None:
                self._supervisor_ref.stop(block=False)
            if self._lock is not None:
                self._lock.release()

    def _specs(self) -> list[ChildSpec]:
        scheduler, keeper = Address("scheduler"), Address("keeper")
        return [
            ChildSpec(Address("migration"), self._start_migration, restart=Restart.ONE_SHOT),
            ChildSpec(self.writer, self._start_writer, strategy=Strategy.REST_FOR_ONE),
            ChildSpec(self.reader, self._start_reader),
            *(spec for name in self.queues for spec in self._queue_specs(name)),
            ChildSpec(scheduler, lambda life: self._start_scheduler(life, scheduler)),
            ChildSpec(keeper, lambda life: self._start_keeper(life, keeper)),
            ChildSpec(
                Address("clock"),
                lambda life: self._start_clock(life, [*self.queues.values(), scheduler, keeper]),
            ),
        ]

    def _queue_specs(self, name: str) -> Iterator[ChildSpec]:
        """A queue, and its consumers, which depend on it and on no other."""
        settings = self._settings.queues[name]
        numbers = range(1, settings.concurrency + 1)
        consumers = {each: Address(each) for each in (f"consumer-{name}-{n}" for n in numbers)}
        yield ChildSpec(
            self.queues[name],
            lambda life: self._start_queue(life, name, settings, consumers),
            strategy=Strategy.REST_FOR_ONE,
            group=name,
        )
        for address in consumers.values():
            yield ChildSpec(
                address, lambda life: self._start_consumer(life, self.queues[name]), group=name
            )

    def _start_migration(self, life: Life) -> pykka.ActorRef[Any]:
        return MigrationActor.start(life, migrate=lambda: migrate(self.database))

    def _start_writer(self, life: Life) -> pykka.ActorRef[Any]:
        return DatabaseWriter.start(
            life,
            store=Store(self.database),
            max_batch=self._settings.database.max_batch,
            now=self._now,
            floor=self._disk_floor(),
        )

    def _disk_floor(self) -> DiskFloor | None:
        least = self._settings.database.min_free_bytes
        if not least or not self.database.is_sqlite:
            return None
        directory = self.database.path.parent
        return DiskFloor(lambda: shutil.disk_usage(directory).free, least)

    def _start_reader(self, life: Life) -> pykka.ActorRef[Any]:
        return DatabaseReader.start(life, store=Store(self.database, read_only=True))

    def _start_queue(
        self, life: Life, name: str, settings: QueueSettings, consumers: dict[str, Address]
    ) -> pykka.ActorRef[Any]:
        return QueueActor.start(
            life,
            driver=self._driver(name, settings),
            consumers=consumers,
            # Starts are counted at the claim, so nothing may wait in between.
            prefetch=0 if settings.rate_limit else settings.prefetch,
            backoff=self.traits[name].backoff,
            now=self._now,
            random=random.random,
        )

    def _driver(self, name: str, settings: QueueSettings) -> Driver:
        queue = self.queues[name]
        if settings.driver == "memory":
            return MemoryDriver(queue_address=queue, writer=self.writer, now=self._now)
        return DatabaseDriver(
            queue=name,
            queue_address=queue,
            writer=self.writer,
            lease_seconds=settings.lease_seconds,
            sole_owner=self.database.is_sqlite,
            worker=self._worker,
            limits=self.traits[name].limits,
            now=self._now,
            random=random.random,
            random_bits=secrets.randbits,
        )

    def _start_consumer(self, life: Life, queue: Address) -> pykka.ActorRef[Any]:
        return ConsumerActor.start(
            life, queue=queue, actions=self.actions, now=self._now, monotonic=time.monotonic
        )

    def _start_scheduler(self, life: Life, address: Address) -> pykka.ActorRef[Any]:
        return Scheduler.start(
            life,
            address=address,
            writer=self.writer,
            queues=self.traits,
            configured=self._schedules,
            now=self._now,
        )

    def _start_keeper(self, life: Life, address: Address) -> pykka.ActorRef[Any]:
        kept = self._settings.retention
        return Keeper.start(
            life,
            address=address,
            writer=self.writer,
            retention={
                Status.COMPLETED: kept.completed_seconds,
                Status.DEAD: kept.dead_seconds,
                Status.CANCELLED: kept.cancelled_seconds,
            },
            now=self._now,
        )

    def _start_clock(self, life: Life, listeners: Sequence[Address]) -> pykka.ActorRef[Any]:
        return Clock.start(life, listeners=listeners, now=self._now)


def traits(name: str, settings: QueueSettings) -> QueueTraits:
    """What has to be known of the queue to publish to it."""
    return QueueTraits(
        name=name,
        max_attempts=settings.max_attempts,
        backoff=Backoff(
            settings.backoff_base_seconds,
            settings.backoff_factor,
            settings.backoff_cap_seconds,
        ),
        limits=QueueLimits(
            max_length=settings.max_length,
            max_bytes=settings.max_bytes,
            rate_limit=settings.rate_limit,
            concurrency_per_key=settings.concurrency_per_key,
        ),
        durable=settings.driver == "database",
    )


def database(settings: DatabaseSettings) -> Database:
    """The database that the settings name."""
    return Database(
        settings.url,
        busy_timeout_seconds=settings.busy_timeout_seconds,
        connect_timeout_seconds=settings.connect_timeout_seconds,
        statement_timeout_seconds=settings.statement_timeout_seconds,
    )


def migrate_only(settings: DatabaseSettings) -> None:
    """Bring the schema to head and start nothing.

    Raises:
        TaskQueueError: It could not be done, and why.
    """
    target = database(settings)
    lock = FileLock(target.path) if target.is_sqlite else None
    if lock is not None:
        lock.acquire()
    try:
        migrate(target)
    finally:
        if lock is not None:
            lock.release()
