"""The composition root: which actors there are, in which order they start, and with what."""

import os
import random
import secrets
import shutil
import socket
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

import pykka

from task_queue.actors.actions.load import load_actions
from task_queue.actors.actions.process.child import Children
from task_queue.actors.clock import Clock
from task_queue.actors.consumer import ConsumerActor
from task_queue.actors.drivers.database import DatabaseDriver
from task_queue.actors.drivers.driver import Driver
from task_queue.actors.drivers.memory import MemoryDriver
from task_queue.actors.errors import ReloadError, UnavailableError
from task_queue.actors.messages.queue import Drain, Reconfigure
from task_queue.actors.messages.supervisor import Boot, Retire, Stop
from task_queue.actors.migration import MigrationActor
from task_queue.actors.pruner import Pruner
from task_queue.actors.queue import QueueActor
from task_queue.actors.reader import DatabaseReader
from task_queue.actors.runtime.actor import Life
from task_queue.actors.runtime.address import Address
from task_queue.actors.runtime.child import ChildSpec, Intensity, Restart, Strategy
from task_queue.actors.scheduler import Scheduler
from task_queue.actors.store.database import Database
from task_queue.actors.store.file_lock import FileLock
from task_queue.actors.store.migrate import migrate
from task_queue.actors.store.session import Session
from task_queue.actors.supervisor import BOOT_SECONDS, ONE_SHOT_SECONDS, Add, Supervisor, Watchdog
from task_queue.actors.tasks.backoff import Backoff
from task_queue.actors.tasks.limits import QueueLimits
from task_queue.actors.tasks.new import QueueInfo
from task_queue.actors.tasks.schedule import Schedule
from task_queue.actors.tasks.states import Status
from task_queue.actors.writer import DatabaseWriter, DiskFloor
from task_queue.config.settings import DatabaseSettings, QueueSettings, Settings

QUEUE = "tasks"
"""The queue that a publish goes to unless it names another."""
SETTLE_GRACE_SECONDS = 5.0
"""How long the last results may take to be written after the drain's deadline."""
STOP_SECONDS = 10.0
"""How long stopping all actors may take; each has a second, and most take none of it."""
RELOAD_SECONDS = 10.0
"""How long a queue may take to go by other settings."""
RELOADED = ("actions", "builtin", "execution", "queues")
"""The sections of the settings that can be changed while the service runs."""
RESTART_BACKOFF = Backoff(base_seconds=0.2, factor=2.0, cap_seconds=30.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reloaded:
    """What other settings have changed.

    Attributes:
        added: The queues that are new.
        removed: Those that take nothing more and end.
        changed: Those that go on otherwise.
        ignored: The sections that differ, and need a restart.
    """

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
    ignored: tuple[str, ...]


class ActorSystem:
    """All actors, started and stopped as one, and the addresses that the edges may ask."""

    def __init__(
        self,
        settings: Settings,
        *,
        on_too_many_restarts: Callable[[], None],
        schedules: Sequence[Schedule] = (),
        cores: Collection[int] = (),
        now: Callable[[], float] = time.time,
    ) -> None:
        """Connect the actors; nothing runs yet.

        Args:
            settings: All of them; each actor gets only the plain values it needs.
            schedules: Those of the settings, found good.
            cores: Which cores the processes of actions may use; none given: those of this process.
            on_too_many_restarts: Called once, from an actor's thread: actors died too often
                and the process should end.
            now: The present moment, Unix seconds.

        Raises:
            ActionLoadError: A configured action cannot be used.
        """
        self.queues = {name: Address(f"queue-{name}") for name in settings.queues}
        self.queue_info = {
            name: queue_info_of(name, each) for name, each in settings.queues.items()
        }
        self.children = Children(cores)
        self.actions = load_actions(settings, self.children)
        self.database = database(settings.database)
        self.reader = Address("reader")
        self.supervisor = Address("supervisor")
        self.writer = Address("writer")
        # Each queue's, those that are leaving too.
        self._addresses = dict(self.queues)
        self._consumers: dict[str, dict[str, Address]] = {}
        self._leaving: dict[str, Address] = {}
        self._reloading = threading.Lock()
        self._settings = settings
        self._on_too_many_restarts = on_too_many_restarts
        self._schedules = tuple(schedules)
        self._worker = f"{socket.gethostname()}:{os.getpid()}"
        self._now = now
        self._supervisor_ref: pykka.ActorRef[Supervisor] | None = None
        self._lock = FileLock(self.database.path) if self.database.is_sqlite else None

    @property
    def queue_settings(self) -> Mapping[str, QueueSettings]:
        """The settings of each queue by name."""
        return self._settings.queues

    @property
    def max_stuck_threads(self) -> int:
        """How many threads may hang in actions beyond their deadline."""
        return self._settings.execution.max_stuck_threads

    def start(self) -> None:
        """Start everything, in order: migration, database, queue, consumers, clock.

        Raises:
            TaskQueueError: Something could not be started; nothing is left running.
        """
        if self._lock is not None:
            self._lock.acquire()
        intensity = self._settings.supervisor
        life = Life(self.supervisor, Watchdog(self._on_too_many_restarts))
        self._supervisor_ref = Supervisor.start(
            life,
            specs=self._specs(),
            address=self.supervisor,
            intensity=Intensity(intensity.max_restarts, intensity.period_seconds),
            backoff=RESTART_BACKOFF,
            max_stuck=lambda: self.max_stuck_threads,
            on_too_many_restarts=self._on_too_many_restarts,
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
            for queue in (*self.queues.values(), *self._leaving.copy().values())
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
            self.children.close()
            if self._supervisor_ref is not None:
                self._supervisor_ref.stop(block=False)
            if self._lock is not None:
                self._lock.release()

    def reload(self, settings: Settings) -> "Reloaded":
        """Have the actions and the queues of these settings from now on; the rest stays as it is.

        What runs goes on. A queue that is gone takes nothing more, lets what runs finish and ends;
        its tasks are left alone. One at a time.

        Args:
            settings: All of them, as at the start.

        Raises:
            ActionLoadError: An action cannot be used; everything is as before.
            ReloadError: A queue cannot be changed so; everything is as before.
        """
        with self._reloading:
            former = self._settings.queues
            self._refuse_changes(former, settings.queues)
            actions = load_actions(settings, self.children)
            reloaded = Reloaded(
                added=tuple(name for name in settings.queues if name not in former),
                removed=tuple(name for name in former if name not in settings.queues),
                changed=tuple(
                    name
                    for name in former
                    if settings.queues.get(name, former[name]) != former[name]
                ),
                ignored=tuple(
                    name
                    for name in type(settings).model_fields
                    if name not in RELOADED
                    and getattr(settings, name) != getattr(self._settings, name)
                ),
            )
            for name in reloaded.removed:
                self._remove_queue(name)
            sections = {name: getattr(settings, name) for name in RELOADED}
            self._settings = self._settings.model_copy(update=sections)
            self.actions.become(actions)
            for name in reloaded.added:
                self._add_queue(name)
            for name in reloaded.changed:
                self._change_queue(name)
            return reloaded

    def _refuse_changes(
        self, former: Mapping[str, QueueSettings], later: Mapping[str, QueueSettings]
    ) -> None:
        for name in former.keys() - later.keys():
            if former[name].driver == "memory":
                message = f"queues.{name} keeps its tasks in memory; to remove it needs a restart"
                raise ReloadError(message)
        for name in former.keys() & later.keys():
            if former[name].driver != later[name].driver:
                message = f"queues.{name}.driver cannot be changed without a restart"
                raise ReloadError(message)
        for name in later.keys() & self._leaving.keys():
            message = f"queues.{name} was removed and still lets its tasks finish; try again later"
            raise ReloadError(message)

    def _add_queue(self, name: str) -> None:
        self.queue_info = {
            **self.queue_info,
            name: queue_info_of(name, self._settings.queues[name]),
        }
        address = Address(f"queue-{name}")
        self._addresses[name] = address
        specs = Add(list(self._queue_specs(name)))
        self.supervisor.ask(specs, BOOT_SECONDS)
        self.queues = {**self.queues, name: address}

    def _change_queue(self, name: str) -> None:
        settings = self._settings.queues[name]
        self.queue_info = {**self.queue_info, name: queue_info_of(name, settings)}
        former = self._consumers[name]
        self._consumers[name] = consumers = self._consumer_addresses(name)
        reconfigure = Reconfigure(
            consumers=consumers,
            prefetch=prefetch(settings),
            backoff=self.queue_info[name].backoff,
            lease_seconds=settings.lease_seconds,
            limits=self.queue_info[name].limits,
        )
        self.queues[name].ask(reconfigure, RELOAD_SECONDS)
        further = [
            self._consumer_spec(name, consumers[each]) for each in consumers if each not in former
        ]
        self.supervisor.ask(Add(further), BOOT_SECONDS)

    def _remove_queue(self, name: str) -> None:
        address = self.queues[name]
        names = (address.name, *self._consumers.pop(name))
        self._leaving[name] = address
        self.queue_info = {key: each for key, each in self.queue_info.items() if key != name}
        self.queues = {key: each for key, each in self.queues.items() if key != name}

        def leave() -> None:
            self.supervisor.tell(Retire(names))
            self._leaving.pop(name, None)

        address.ask_later(Drain(deadline=inf)).then(leave)

    def _specs(self) -> list[ChildSpec]:
        scheduler, pruner = Address("scheduler"), Address("pruner")
        return [
            ChildSpec(Address("migration"), self._start_migration, restart=Restart.ONE_SHOT),
            ChildSpec(self.writer, self._start_writer, strategy=Strategy.REST_FOR_ONE),
            ChildSpec(self.reader, self._start_reader),
            *(spec for name in self.queues for spec in self._queue_specs(name)),
            ChildSpec(scheduler, lambda life: self._start_scheduler(life, scheduler)),
            ChildSpec(pruner, lambda life: self._start_pruner(life, pruner)),
            ChildSpec(
                Address("clock"),
                lambda life: self._start_clock(life, [scheduler, pruner]),
            ),
        ]

    def _queue_specs(self, name: str) -> Iterator[ChildSpec]:
        """A queue, and its consumers, which depend on it and on no other."""
        address = self._addresses[name]
        self._consumers[name] = self._consumer_addresses(name)
        yield ChildSpec(
            address,
            lambda life: self._start_queue(life, name, address),
            strategy=Strategy.REST_FOR_ONE,
            group=name,
        )
        for consumer in self._consumers[name].values():
            yield self._consumer_spec(name, consumer)

    def _consumer_addresses(self, queue: str) -> dict[str, Address]:
        """Those of the queue's consumers by name; one that is there already keeps its own."""
        known = self._consumers.get(queue, {})
        numbers = range(1, self._settings.queues[queue].concurrency + 1)
        names = [f"consumer-{queue}-{number}" for number in numbers]
        return {name: known.get(name) or Address(name) for name in names}

    def _consumer_spec(self, queue: str, consumer: Address) -> ChildSpec:
        return ChildSpec(consumer, lambda life: self._start_consumer(life, queue), group=queue)

    def _start_migration(self, life: Life) -> pykka.ActorRef[Any]:
        return MigrationActor.start(life, migrate=lambda: migrate(self.database))

    def _start_writer(self, life: Life) -> pykka.ActorRef[Any]:
        return DatabaseWriter.start(
            life,
            session=Session(self.database),
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
        return DatabaseReader.start(life, session=Session(self.database, read_only=True))

    def _start_queue(self, life: Life, name: str, address: Address) -> pykka.ActorRef[Any]:
        settings = self._settings.queues[name]
        return QueueActor.start(
            life,
            driver=self._driver(name, settings, address),
            consumers=self._consumers[name],
            supervisor=self.supervisor,
            prefetch=prefetch(settings),
            backoff=self.queue_info[name].backoff,
            now=self._now,
            monotonic=time.monotonic,
            random=random.random,
        )

    def _driver(self, name: str, settings: QueueSettings, queue: Address) -> Driver:
        if settings.driver == "memory":
            return MemoryDriver(queue_address=queue, writer=self.writer, now=self._now)
        return DatabaseDriver(
            queue=name,
            queue_address=queue,
            writer=self.writer,
            lease_seconds=settings.lease_seconds,
            sole_owner=self.database.is_sqlite,
            worker=self._worker,
            limits=self.queue_info[name].limits,
            now=self._now,
            random=random.random,
            random_bits=secrets.randbits,
        )

    def _start_consumer(self, life: Life, queue: str) -> pykka.ActorRef[Any]:
        return ConsumerActor.start(
            life,
            queue=self._addresses[queue],
            queue_name=queue,
            actions=self.actions,
            now=self._now,
            monotonic=time.monotonic,
        )

    def _start_scheduler(self, life: Life, address: Address) -> pykka.ActorRef[Any]:
        return Scheduler.start(
            life,
            address=address,
            writer=self.writer,
            queues=lambda: self.queue_info,
            configured=self._schedules,
            now=self._now,
        )

    def _start_pruner(self, life: Life, address: Address) -> pykka.ActorRef[Any]:
        kept = self._settings.retention
        return Pruner.start(
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

    def _start_clock(self, life: Life, others: Sequence[Address]) -> pykka.ActorRef[Any]:
        def listeners() -> list[Address]:
            return [*self.queues.values(), *self._leaving.copy().values(), *others]

        return Clock.start(life, listeners=listeners, now=self._now)


def prefetch(settings: QueueSettings) -> int:
    """How many claimed tasks may wait: starts are counted at the claim, so none with a rate."""
    return 0 if settings.rate_limit else settings.prefetch


def queue_info_of(name: str, settings: QueueSettings) -> QueueInfo:
    """What has to be known of the queue to publish to it."""
    return QueueInfo(
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
