"""How the queues change while the service runs: some are added, some changed, some removed."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import inf

from task_queue.actors.errors import ReloadError
from task_queue.actors.messages.queue import Drain, Reconfigure
from task_queue.actors.messages.supervisor import Retire
from task_queue.actors.runtime.address import Address
from task_queue.actors.runtime.child import BOOT_SECONDS, Add, ChildSpec
from task_queue.actors.tasks.backoff import Backoff
from task_queue.actors.tasks.limits import QueueLimits
from task_queue.actors.tasks.new import QueueInfo
from task_queue.actors.tasks.task import PLAIN, Options
from task_queue.config.settings import QueueSettings, Settings

RELOAD_SECONDS = 10.0
"""How long a queue may take to adopt other settings."""
RELOADED = ("actions", "builtin", "callbacks", "execution", "queues")
"""The sections of the settings that can be changed while the service runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reloaded:
    """What a reload of the settings has changed.

    Attributes:
        added: The queues that are new.
        removed: The queues that take nothing more and end.
        changed: The queues that go on with other settings.
        ignored: The sections that differ, and need a restart.
    """

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
    ignored: tuple[str, ...]


class RunningQueue:
    """A queue with its consumers, by the settings that are in force now.

    Attributes:
        name: The queue's name.
        address: Where the queue is reached.
        settings: A queue that is restarted goes by the newest.
        consumers: Where each of its consumers is reached, by name.
    """

    def __init__(self, name: str, settings: QueueSettings) -> None:
        self.name = name
        self.address = Address(f"queue-{name}")
        self.consumers: dict[str, Address] = {}
        self.change(settings)

    def change(self, settings: QueueSettings) -> None:
        """Take other settings; a consumer that stays keeps its address."""
        self.settings = settings
        numbers = range(1, settings.concurrency + 1)
        names = [f"consumer-{self.name}-{number}" for number in numbers]
        self.consumers = {name: self.consumers.get(name) or Address(name) for name in names}

    @property
    def prefetch(self) -> int:
        """How many claimed tasks may wait: starts are counted at the claim, so none with a rate."""
        return 0 if self.settings.rate_limit else self.settings.prefetch

    @property
    def info(self) -> QueueInfo:
        """What has to be known of the queue to publish to it."""
        settings = self.settings
        return QueueInfo(
            name=self.name,
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
            plain=Options(callback=settings.callback) if settings.callback else PLAIN,
        )


class RunningQueues:
    """The queues of this process: those that take publishes, and those that are leaving.

    One thread at a time changes them, while others read: a dictionary that others read is
    replaced, never changed.

    Attributes:
        addresses: Where each queue that takes publishes is reached, by name.
        info: What has to be known of these to publish to them, by name.
    """

    def __init__(
        self,
        settings: Mapping[str, QueueSettings],
        *,
        supervisor: Address,
        specs: Callable[[RunningQueue], Iterator[ChildSpec]],
    ) -> None:
        """Store what is needed.

        Args:
            settings: The settings of the queues that are there from the start, by name.
            supervisor: Who starts and stops queues and consumers.
            specs: Tells how to start a queue and its consumers, in this order.
        """
        self._supervisor = supervisor
        self._specs = specs
        self._queues = {name: RunningQueue(name, each) for name, each in settings.items()}
        self._leaving: dict[str, Address] = {}
        self.addresses = {name: queue.address for name, queue in self._queues.items()}
        self.info = {name: queue.info for name, queue in self._queues.items()}

    def __iter__(self) -> Iterator[RunningQueue]:
        """Iterate over the queues that take publishes."""
        return iter(self._queues.values())

    def all_addresses(self) -> list[Address]:
        """Return the addresses of all queues, also of those that are leaving."""
        return [*self.addresses.values(), *self._leaving.copy().values()]

    def check(self, settings: Mapping[str, QueueSettings]) -> None:
        """Accept settings to which all queues can be changed.

        Raises:
            ReloadError: A queue cannot be changed to them.
        """
        for name in self._queues.keys() - settings.keys():
            if self._queues[name].settings.driver == "memory":
                message = f"queues.{name} keeps its tasks in memory; to remove it needs a restart"
                raise ReloadError(message)
        for name in self._queues.keys() & settings.keys():
            if self._queues[name].settings.driver != settings[name].driver:
                message = f"queues.{name}.driver cannot be changed without a restart"
                raise ReloadError(message)
        for name in settings.keys() & self._leaving.keys():
            message = f"queues.{name} was removed and still lets its tasks finish; try again later"
            raise ReloadError(message)

    def add(self, name: str, settings: QueueSettings) -> None:
        """Start a queue and its consumers, then let it take publishes."""
        self._queues[name] = queue = RunningQueue(name, settings)
        self._supervisor.ask(Add(list(self._specs(queue))), BOOT_SECONDS)
        self.addresses = {**self.addresses, name: queue.address}
        self.info = {**self.info, name: queue.info}  # last: who finds a name here may publish to it

    def change(self, name: str, settings: QueueSettings) -> None:
        """Let a queue go on with other settings, and start the consumers that are new."""
        queue = self._queues[name]
        former = queue.consumers
        queue.change(settings)
        self.info = {**self.info, name: queue.info}
        reconfigure = Reconfigure(
            consumers=queue.consumers,
            prefetch=queue.prefetch,
            backoff=queue.info.backoff,
            lease_seconds=settings.lease_seconds,
            limits=queue.info.limits,
        )
        queue.address.ask(reconfigure, RELOAD_SECONDS)
        new = queue.consumers.keys() - former.keys()
        specs = [spec for spec in self._specs(queue) if spec.name in new]
        self._supervisor.ask(Add(specs), BOOT_SECONDS)

    def remove(self, name: str) -> None:
        """Let a queue take nothing more, finish what runs, and end; its tasks are left alone."""
        queue = self._queues.pop(name)
        self._leaving[name] = queue.address
        self.info = {key: each for key, each in self.info.items() if key != name}
        self.addresses = {key: each for key, each in self.addresses.items() if key != name}

        def leave() -> None:
            self._supervisor.tell(Retire((queue.address.name, *queue.consumers)))
            self._leaving.pop(name, None)

        queue.address.ask_later(Drain(deadline=inf)).then(leave)


def compare(former: Settings, later: Settings) -> Reloaded:
    """Return what changes when the later settings take the place of the former ones."""
    return Reloaded(
        added=tuple(name for name in later.queues if name not in former.queues),
        removed=tuple(name for name in former.queues if name not in later.queues),
        changed=tuple(
            name for name, each in former.queues.items() if later.queues.get(name, each) != each
        ),
        ignored=tuple(
            name
            for name in Settings.model_fields
            if name not in RELOADED and getattr(former, name) != getattr(later, name)
        ),
    )


def merge(former: Settings, later: Settings) -> Settings:
    """Return the former settings with the sections of the later ones that can be changed."""
    return former.model_copy(update={name: getattr(later, name) for name in RELOADED})
