"""The composition root: which actors there are, in which order they start, and with what."""

import random
import secrets
import time
from collections.abc import Callable
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
from actors.messages import Boot, Drain, Stop
from actors.migration import MigrationActor
from actors.queue import QueueActor
from actors.reader import DatabaseReader
from actors.store.connect import Database
from actors.store.lock import FileLock
from actors.store.migrate import migrate
from actors.store.store import Store
from actors.supervisor import (
    BOOT_SECONDS,
    ChildSpec,
    Intensity,
    Restart,
    Strategy,
    Supervisor,
    Watchdog,
)
from actors.writer import DatabaseWriter
from config.settings import DatabaseSettings, QueueSettings, Settings

QUEUE = "tasks"
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
        now: Callable[[], float] = time.time,
    ) -> None:
        """Wire the actors; nothing runs yet.

        Args:
            settings: All of them; each actor gets only the plain values it needs.
            on_hopeless: Called once, from an actor's thread, when too many actors died too fast
                and the process should end.
            now: The present moment, Unix seconds.

        Raises:
            ActionLoadError: A configured action cannot be imported.
        """
        self.actions: Registry = load(
            settings.actions,
            fallback=settings.builtin.fallback,
            simulated_work_seconds=settings.builtin.simulated_work_seconds,
        )
        self.database = database(settings.database)
        self.queue = Address("queue")
        self.reader = Address("reader")
        self.supervisor = Address("supervisor")
        self._writer = Address("writer")
        self._settings = settings
        self._on_hopeless = on_hopeless
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
            self.supervisor.ask(Boot(), timeout=BOOT_SECONDS * 2)
        except BaseException:
            self._let_go()
            raise

    def stop(self, drain_seconds: float) -> tuple[str, ...]:
        """Drain the queue, then stop everything in reverse order.

        Args:
            drain_seconds: How long running tasks may take to finish.

        Returns:
            The ids of the tasks that were still running then and were given back.

        Raises:
            TaskQueueError: The queue could not be drained in time; everything is stopped all the
                same, and what was claimed is taken back at the next start.
        """
        try:
            drain = Drain(deadline=self._now() + drain_seconds)
            return self.queue.ask(drain, timeout=drain_seconds + SETTLE_GRACE_SECONDS)
        finally:
            self._let_go()

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
        queue = self._settings.queues.tasks
        consumers = {
            name: Address(name)
            for name in (f"consumer-{number}" for number in range(1, queue.concurrency + 1))
        }
        return [
            ChildSpec(Address("migration"), self._start_migration, restart=Restart.ONE_SHOT),
            ChildSpec(self._writer, self._start_writer, strategy=Strategy.REST_FOR_ONE),
            ChildSpec(self.reader, self._start_reader),
            ChildSpec(
                self.queue,
                lambda life: self._start_queue(life, queue, consumers),
                strategy=Strategy.REST_FOR_ONE,
            ),
            *(ChildSpec(address, self._start_consumer) for address in consumers.values()),
            ChildSpec(Address("clock"), self._start_clock),
        ]

    def _start_migration(self, life: Life) -> pykka.ActorRef[Any]:
        return MigrationActor.start(life, migrate=lambda: migrate(self.database))

    def _start_writer(self, life: Life) -> pykka.ActorRef[Any]:
        return DatabaseWriter.start(
            life,
            store=Store(self.database),
            max_batch=self._settings.database.max_batch,
            now=self._now,
        )

    def _start_reader(self, life: Life) -> pykka.ActorRef[Any]:
        return DatabaseReader.start(life, store=Store(self.database, read_only=True))

    def _start_queue(
        self, life: Life, queue: QueueSettings, consumers: dict[str, Address]
    ) -> pykka.ActorRef[Any]:
        return QueueActor.start(
            life,
            driver=self._driver(queue),
            consumers=consumers,
            prefetch=queue.prefetch,
            backoff=Backoff(
                queue.backoff_base_seconds, queue.backoff_factor, queue.backoff_cap_seconds
            ),
            now=self._now,
            random=random.random,
        )

    def _driver(self, queue: QueueSettings) -> Driver:
        if queue.driver == "memory":
            return MemoryDriver(queue_address=self.queue, writer=self._writer, now=self._now)
        return DatabaseDriver(
            queue=QUEUE,
            queue_address=self.queue,
            writer=self._writer,
            lease_seconds=queue.lease_seconds,
            sole_owner=self.database.is_sqlite,
            now=self._now,
            random=random.random,
            random_bits=secrets.randbits,
        )

    def _start_consumer(self, life: Life) -> pykka.ActorRef[Any]:
        return ConsumerActor.start(
            life, queue=self.queue, actions=self.actions, monotonic=time.monotonic
        )

    def _start_clock(self, life: Life) -> pykka.ActorRef[Any]:
        return Clock.start(life, listeners=[self.queue], now=self._now)


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
