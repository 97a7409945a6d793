"""The composition root: which actors there are, in which order they start, and with what."""

import os
import secrets
import shutil
import socket
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import closing
from importlib.metadata import version
from random import Random
from typing import Any

import pykka

from task_queue.actors.actions.load import end_fallback, load_actions
from task_queue.actors.actions.process.child import Children
from task_queue.actors.clock import Clock
from task_queue.actors.database import database
from task_queue.actors.errors import UnavailableError
from task_queue.actors.lessor import Lessor
from task_queue.actors.messages.changes import KeepActions
from task_queue.actors.messages.queue import Drain
from task_queue.actors.messages.supervisor import Boot, Stop
from task_queue.actors.migration import MigrationActor
from task_queue.actors.pruner import Pruner
from task_queue.actors.queue_specs import QueueSpecs
from task_queue.actors.reader import DatabaseReader
from task_queue.actors.reload import (
    RELOAD_SECONDS,
    Reloaded,
    RunningQueues,
    compare,
    merge,
)
from task_queue.actors.runtime.actor import Life
from task_queue.actors.runtime.address import Address
from task_queue.actors.runtime.child import BOOT_SECONDS, ChildSpec, Intensity, Restart, Strategy
from task_queue.actors.scheduler import Scheduler
from task_queue.actors.store import own_actions
from task_queue.actors.store.callbacks import Deliverer
from task_queue.actors.store.database_file import DatabaseFile
from task_queue.actors.store.file_lock import FileLock
from task_queue.actors.store.migrate import migrate
from task_queue.actors.store.session import Session
from task_queue.actors.store.upkeep import FileUpkeep, ServerUpkeep
from task_queue.actors.supervisor import ONE_SHOT_SECONDS, Supervisor, Watchdog
from task_queue.actors.tasks.backoff import Backoff
from task_queue.actors.tasks.event import CALLBACKS
from task_queue.actors.tasks.meters import Meters
from task_queue.actors.tasks.nodes import Node
from task_queue.actors.tasks.schedule import Schedule
from task_queue.actors.tasks.states import Status
from task_queue.actors.traces import runner, tracing
from task_queue.actors.writer import DatabaseWriter, DiskFloor
from task_queue.config.callbacks import CALLBACK_ATTEMPTS
from task_queue.config.settings import QueueSettings, Settings

SETTLE_GRACE_SECONDS = 5.0
"""How long the last results may take to be written, after the deadline of the drain."""
STOP_SECONDS = 10.0
"""How long stopping all actors may take; most stop at once."""
RESTART_BACKOFF = Backoff(base_seconds=0.2, factor=2.0, cap_seconds=30.0)
"""How long an actor that died waits to be restarted."""
JITTER = Random().random  # noqa: S311 - for jitter
"""Of our own: an action may seed the one that the module `random` shares."""


class ActorSystem:
    """All actors, started and stopped as one, and the addresses that the edges may ask.

    Actors reach each other by messages alone, but for one thing: a queue and each of its consumers
    share a `Slot`.

    Attributes:
        children: The processes that actions have started.
        actions: The actions by name; a reload replaces what is in it.
        database: How the database is reached.
        is_draining: Whether no further task is started, because the process is about to end.
        lessor: The address of the lessor.
        meters: What is counted for the metrics.
        queues: The queues; a reload adds to them and removes some.
        key_reader: The address of the reader of keys: one of its own where keys are needed.
        reader: The address of the database reader.
        supervisor: The address of the supervisor.
        tracing: Makes spans; None: that is turned off.
        writer: The address of the database writer.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        on_too_many_restarts: Callable[[], None],
        cores: Collection[int] = (),
        now: Callable[[], float] = time.time,
        random: Callable[[], float] = JITTER,
    ) -> None:
        """Connect the actors; nothing runs yet.

        Args:
            settings: All settings; each actor gets only the plain values it needs.
            cores: The cores that the processes of actions may use; none: those of this process.
            on_too_many_restarts: Called once, in an actor's thread, when actors died too often and
                the process should end.
            now: The present moment, Unix seconds.
            random: Gives a number in [0, 1), for the jitter.

        Raises:
            ActionLoadError: A configured action cannot be used.
        """
        self.children = Children(cores)
        self.actions = load_actions(settings, self.children)
        self.meters = Meters(self.actions.has, native=settings.metrics.native_histograms)
        self.database = database(settings.database)
        self.tracing = tracing(settings.traces)
        self.lessor = Address("lessor")
        self.reader = self.key_reader = Address("reader")
        self.supervisor = Address("supervisor")
        self.writer = Address("writer")
        self._queue_specs = QueueSpecs(
            supervisor=self.supervisor,
            writer=self.writer,
            actions=self.actions,
            runner=runner(self.actions, self.tracing, now),
            node=f"{socket.gethostname()}:{os.getpid()}",
            sole_owner=self.database.is_sqlite,
            now=now,
            random=random,
            meters=self.meters,
        )
        self.queues = RunningQueues(
            settings.queues, supervisor=self.supervisor, specs=self._queue_specs
        )
        self.is_draining = False
        self._started_at, self._version = now(), version("task-queue")
        self._reloading = threading.Lock()
        self._settings = settings
        self._on_too_many_restarts = on_too_many_restarts
        self._schedules: tuple[Schedule, ...] = ()
        self._now = now
        self._random = random
        self._supervisor_ref: pykka.ActorRef[Supervisor] | None = None
        self._lock = self._file = None
        if self.database.is_sqlite:
            self._lock = FileLock(self.database.path)
            self._file = DatabaseFile(self.database.path, self._lock.keep)

    @property
    def queue_settings(self) -> Mapping[str, QueueSettings]:
        """The settings of each queue by name."""
        return self._settings.queues

    @property
    def tells(self) -> bool:
        """Whether it can be told how a task ended."""
        return bool(self._settings.callbacks.secret)

    @property
    def max_stuck_threads(self) -> int:
        """How many threads may be stuck in actions beyond their deadline."""
        return self._settings.execution.max_stuck_threads

    @property
    def max_result_bytes(self) -> int:
        """How long a result may be, as JSON."""
        return self._settings.execution.max_result_bytes

    def start(self, schedules: Sequence[Schedule] = (), *, needs_keys: bool = False) -> None:
        """Start all actors, in the order of `_specs`.

        Args:
            schedules: The schedules of the settings, validated.
            needs_keys: Whether requests need keys. Then these are read on a connection of their
                own, so that a slow listing delays no publish.

        Raises:
            TaskQueueError: An actor could not be started; none is left running.
        """
        self._schedules = tuple(schedules)
        if needs_keys:
            self.key_reader = Address("key-reader")
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
            random=self._random,
            restarts=self.meters.restarts,
        )
        try:
            life.started.wait(BOOT_SECONDS)
            self.supervisor.ask(Boot(), timeout=ONE_SHOT_SECONDS + BOOT_SECONDS)
        except BaseException:
            self.stop()
            raise

    def drain(self, drain_seconds: float) -> tuple[str, ...]:
        """Start no further task and wait for those that run, in all queues at the same time.

        Everything else goes on: tasks can be read and cancelled, and are refused when published.

        Args:
            drain_seconds: How long running tasks may take to finish.

        Returns:
            The ids of the tasks that still ran then and were given back.

        Raises:
            TaskQueueError: A queue could not be drained in time; what was claimed is taken back at
                the next start.
        """
        self.is_draining = True
        deadline = time.monotonic() + drain_seconds
        draining = [self.lessor, *self.queues.all_addresses()]
        drains = [address.ask_later(Drain(deadline)) for address in draining]
        last = deadline + SETTLE_GRACE_SECONDS
        return tuple(task_id for drain in drains for task_id in drain.wait(last - time.monotonic()))

    def stop(self) -> None:
        """Stop all actors in reverse order."""
        try:
            self.supervisor.ask(Stop(), timeout=STOP_SECONDS)
        except UnavailableError:
            pass  # only daemon threads are left, and they end with the process
        finally:
            self.children.close()
            if self.tracing is not None:
                self.tracing.flush()
            if self._supervisor_ref is not None:
                self._supervisor_ref.stop(block=False)
            if self._lock is not None:
                self._lock.release()

    def reload(self, settings: Settings) -> Reloaded:
        """Use the actions and the queues of these settings from now on; the rest stays as it is.

        What runs goes on. A queue that is gone takes nothing more, lets what runs finish and ends;
        its tasks are left alone. One reload runs at a time.

        Args:
            settings: All settings, as at the start.

        Raises:
            ActionLoadError: An action cannot be used; everything is as before.
            ReloadError: A queue cannot be changed in this way; everything is as before.
        """
        with self._reloading:
            self.queues.check(settings.queues)
            actions = load_actions(settings, self.children)
            if known := self.writer.ask(KeepActions(actions.own), RELOAD_SECONDS):
                end_fallback(actions, known)
            reloaded = compare(self._settings, settings)
            for name in reloaded.removed:
                self.queues.remove(name)
            self._settings = merge(self._settings, settings)
            self.actions.become(actions)
            for name in reloaded.added:
                self.queues.add(name, settings.queues[name])
            for name in reloaded.changed:
                self.queues.change(name, settings.queues[name])
            return reloaded

    def _specs(self) -> list[ChildSpec]:
        scheduler, pruner = Address("scheduler"), Address("pruner")
        return [
            ChildSpec(Address("migration"), self._start_migration, restart=Restart.ONE_SHOT),
            ChildSpec(self.writer, self._start_writer, strategy=Strategy.REST_FOR_ONE),
            *(
                ChildSpec(reader, self._start_reader)
                for reader in dict.fromkeys((self.reader, self.key_reader))
            ),
            *(spec for queue in self.queues for spec in self._queue_specs(queue)),
            ChildSpec(self.lessor, self._start_lessor),
            ChildSpec(scheduler, lambda life: self._start_scheduler(life, scheduler)),
            ChildSpec(pruner, lambda life: self._start_pruner(life, pruner)),
            ChildSpec(
                Address("clock"),
                lambda life: self._start_clock(life, [self.lessor, scheduler, pruner]),
            ),
        ]

    def _start_migration(self, life: Life) -> pykka.ActorRef[Any]:
        return MigrationActor.start(life, migrate=self._migrate)

    def _migrate(self) -> None:
        migrate(self.database)
        if self._file is not None:
            self._file.adopt()
        with closing(Session(self.database, file=self._file)) as session, session.transaction():
            known = own_actions.remember(session.connection, self.actions.own)
        if known:
            end_fallback(self.actions, known)

    def _start_writer(self, life: Life) -> pykka.ActorRef[Any]:
        session = Session(self.database, file=self._file)
        return DatabaseWriter.start(
            life,
            session=session,
            max_batch=self._settings.database.max_batch,
            now=self._now,
            monotonic=time.monotonic,
            deliverer=self._deliverer,
            floor=self._disk_floor(),
            upkeep=ServerUpkeep(session) if self._file is None else FileUpkeep(session, self._file),
            node=self._queue_specs.node,
            meter=self.meters.writer,
        )

    def _deliverer(self) -> Deliverer:
        settings = self._settings.queues.get(CALLBACKS)
        attempts = CALLBACK_ATTEMPTS if settings is None else settings.max_attempts
        return Deliverer(self.queues.addresses.get(CALLBACKS), attempts)

    def _disk_floor(self) -> DiskFloor | None:
        least = self._settings.database.min_free_bytes
        if not least or not self.database.is_sqlite:
            return None
        directory = self.database.path.parent
        return DiskFloor(lambda: shutil.disk_usage(directory).free, least)

    def _start_reader(self, life: Life) -> pykka.ActorRef[Any]:
        session = Session(self.database, read_only=True, file=self._file)
        return DatabaseReader.start(life, session=session)

    def _start_lessor(self, life: Life) -> pykka.ActorRef[Any]:
        return Lessor.start(
            life,
            address=self.lessor,
            writer=self.writer,
            queues=lambda: self.queues.info,
            actions=self.actions,
            now=self._now,
            random=self._random,
            random_bits=secrets.randbits,
            meter_of=self.meters.of_leases,
        )

    def _start_scheduler(self, life: Life, address: Address) -> pykka.ActorRef[Any]:
        return Scheduler.start(
            life,
            address=address,
            writer=self.writer,
            queues=lambda: self.queues.info,
            configured=self._schedules,
            now=self._now,
            is_external=self.actions.is_external,
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
            audit_seconds=kept.audit_seconds,
            node=self._node,
            alone=self.database.is_sqlite,
            now=self._now,
        )

    def _node(self) -> Node:
        return Node(
            name=self._queue_specs.node,
            version=self._version,
            started_at=self._started_at,
            seen_at=self._now(),
            draining=self.is_draining,
            queues={name: each.concurrency for name, each in self._settings.queues.items()},
        )

    def _start_clock(self, life: Life, others: Sequence[Address]) -> pykka.ActorRef[Any]:
        def listeners() -> list[Address]:
            return [*self.queues.all_addresses(), *others]

        return Clock.start(life, listeners=listeners, now=self._now)
