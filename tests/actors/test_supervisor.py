import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import pykka
import pytest

from task_queue.actors.errors import MigrationError, TaskQueueError
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
from task_queue.actors.runtime.child import Add, ChildSpec, Intensity, Restart, Strategy
from task_queue.actors.supervisor import Supervisor, Watchdog
from task_queue.actors.tasks.backoff import Backoff
from tests.fakes import ManualClock, life, running
from tests.harness import eventually

TIMEOUT = 10.0


@dataclass(frozen=True, slots=True)
class Crash(Command):
    pass


class Child(Actor):
    def __init__(self, life: Life, events: list[str], error: TaskQueueError | None = None) -> None:
        super().__init__(life)
        self.events = events
        self.error = error

    def setup(self) -> None:
        if self.error is not None:
            raise self.error
        self.events.append(f"start {self.name}")

    def receive(self, message: Message) -> None:
        self.unexpected(message)

    def on_stop(self) -> None:
        super().on_stop()
        self.events.append(f"stop {self.name}")


@dataclass(frozen=True, slots=True)
class Hang(Command):
    """Do not come back before the test says so."""

    until: threading.Event


class Hanging(Child):
    def receive(self, message: Message) -> None:
        if not isinstance(message, Hang):
            self.unexpected(message)
        assert message.until.wait(TIMEOUT)


class OneShot(Child):
    def setup(self) -> None:
        super().setup()
        self.stop()


@dataclass
class Family:
    """A supervisor, and a hand on everything it depends on."""

    specs: list[ChildSpec]
    max_restarts: int = 5
    max_stuck: int = 1
    clock: ManualClock = field(default_factory=ManualClock)
    delays: list[float] = field(default_factory=list)
    due: list[Callable[[], None]] = field(default_factory=list)
    gave_up: list[str] = field(default_factory=list)
    address: Address = field(default_factory=lambda: Address("supervisor"))

    def start(self) -> pykka.ActorRef[Supervisor]:
        def after(seconds: float, call: Callable[[], None]) -> None:
            self.due.append(call)
            self.delays.append(seconds)  # last: `crash` waits for it

        ref = Supervisor.start(
            life("supervisor"),
            specs=self.specs,
            address=self.address,
            intensity=Intensity(self.max_restarts, period_seconds=30.0),
            backoff=Backoff(base_seconds=1.0, factor=2.0, cap_seconds=5.0),
            max_stuck=lambda: self.max_stuck,
            on_too_many_restarts=lambda: self.gave_up.append("too many"),
            now=self.clock,
            random=lambda: 1.0,
            after=after,
        )
        self.address.bind(ref)
        return ref

    def crash(self, name: str) -> None:
        """Let the child crash, and wait until the supervisor has heard of it."""
        deaths = len(self.delays) + len(self.gave_up)
        next(spec for spec in self.specs if spec.name == name).address.tell(Crash())
        eventually(lambda: len(self.delays) + len(self.gave_up) > deaths, f"{name} died", TIMEOUT)

    def pass_time(self) -> None:
        """Let the newest planned restart happen, and wait until it has."""
        self.due[-1]()
        self.up()

    def up(self) -> list[str]:
        children = self.address.ask(ListChildren(), TIMEOUT)
        return [name for name, up in children.items() if up]


def spec(
    name: str,
    events: list[str],
    strategy: Strategy = Strategy.ONE_FOR_ONE,
    error: TaskQueueError | None = None,
    group: str | None = None,
) -> ChildSpec:
    return ChildSpec(
        Address(name),
        lambda life: Child.start(life, events, error),
        strategy=strategy,
        group=group,
    )


def hanging(name: str, events: list[str]) -> ChildSpec:
    return ChildSpec(Address(name), lambda life: Hanging.start(life, events))


def one_shot(name: str, events: list[str], error: TaskQueueError | None = None) -> ChildSpec:
    return ChildSpec(
        Address(name),
        lambda life: OneShot.start(life, events, error),
        restart=Restart.ONE_SHOT,
    )


def test_children_start_in_order_and_stop_in_reverse() -> None:
    events: list[str] = []
    family = Family([spec(name, events) for name in "abc"])
    with running(family.start()) as supervisor:
        supervisor.ask(Boot(), TIMEOUT)
        assert events == ["start a", "start b", "start c"]
        supervisor.ask(Stop(), TIMEOUT)
        assert sorted(events[3:]) == ["stop a", "stop b", "stop c"]
        assert family.up() == []


def test_a_one_shot_child_runs_before_the_others_and_never_again() -> None:
    events: list[str] = []
    family = Family([one_shot("migration", events), spec("a", events)])
    with running(family.start()) as supervisor:
        supervisor.ask(Boot(), TIMEOUT)
        assert events.index("start migration") < events.index("start a")
        family.crash("a")
        family.pass_time()
        assert events.count("start migration") == 1
        assert events.count("start a") == 2
        supervisor.ask(Stop(), TIMEOUT)


def test_a_failed_start_stops_what_was_started_and_says_why() -> None:
    events: list[str] = []
    broken = one_shot("migration", events, MigrationError("no such column"))
    family = Family([spec("a", events), broken, spec("b", events)])
    with running(family.start()) as supervisor:
        with pytest.raises(MigrationError, match="no such column"):
            supervisor.ask(Boot(), TIMEOUT)
        assert events[0] == "start a"
        assert "stop a" in events
        assert "start b" not in events


def test_one_for_one_restarts_only_the_one_that_died() -> None:
    events: list[str] = []
    family = Family([spec(name, events) for name in "abc"])
    with running(family.start()) as supervisor:
        supervisor.ask(Boot(), TIMEOUT)
        family.crash("b")
        assert family.up() == ["a", "c"]
        family.pass_time()
        assert family.up() == ["a", "b", "c"]
        assert events[3:] == ["start b"]
        supervisor.ask(Stop(), TIMEOUT)


def test_rest_for_one_restarts_what_was_started_later_too() -> None:
    events: list[str] = []
    family = Family(
        [
            spec("a", events),
            spec("b", events, Strategy.REST_FOR_ONE),
            *map(spec, "cd", [events] * 2),
        ]
    )
    with running(family.start()) as supervisor:
        supervisor.ask(Boot(), TIMEOUT)
        family.crash("b")
        assert family.up() == ["a"]
        family.pass_time()
        assert family.up() == ["a", "b", "c", "d"]
        assert events[-3:] == ["start b", "start c", "start d"]
        supervisor.ask(Stop(), TIMEOUT)


def two_queues(events: list[str]) -> list[ChildSpec]:
    """A writer that all depend on, and two queues, each with a consumer that depends on it."""
    return [
        spec("writer", events, Strategy.REST_FOR_ONE),
        spec("mail", events, Strategy.REST_FOR_ONE, group="mail"),
        spec("mail-1", events, group="mail"),
        spec("tasks", events, Strategy.REST_FOR_ONE, group="tasks"),
        spec("tasks-1", events, group="tasks"),
        spec("clock", events),
    ]


@pytest.mark.parametrize(
    ("dead", "left", "started"),
    [
        ("mail", ["writer", "tasks", "tasks-1", "clock"], ["mail", "mail-1"]),
        ("tasks", ["writer", "mail", "mail-1", "clock"], ["tasks", "tasks-1"]),
        ("mail-1", ["writer", "mail", "tasks", "tasks-1", "clock"], ["mail-1"]),
        ("writer", [], ["writer", "mail", "mail-1", "tasks", "tasks-1", "clock"]),
    ],
)
def test_the_death_of_a_queue_restarts_its_own_consumers_and_nobody_elses(
    dead: str, left: list[str], started: list[str]
) -> None:
    events: list[str] = []
    family = Family(two_queues(events))
    with running(family.start()) as supervisor:
        supervisor.ask(Boot(), TIMEOUT)
        family.crash(dead)
        assert family.up() == left
        family.pass_time()
        assert len(family.up()) == 6
        again = [event.removeprefix("start ") for event in events[6:] if "start" in event]
        assert again == started
        supervisor.ask(Stop(), TIMEOUT)


def test_restarts_wait_longer_with_each_death_up_to_the_cap() -> None:
    family = Family([spec("a", [])])
    with running(family.start()) as supervisor:
        supervisor.ask(Boot(), TIMEOUT)
        for _ in range(4):
            family.crash("a")
            family.pass_time()
        assert family.delays == [1.0, 2.0, 4.0, 5.0]
        supervisor.ask(Stop(), TIMEOUT)


def test_deaths_long_ago_do_not_count() -> None:
    family = Family([spec("a", [])], max_restarts=1)
    with running(family.start()) as supervisor:
        supervisor.ask(Boot(), TIMEOUT)
        for _ in range(5):
            family.crash("a")
            family.pass_time()
            family.clock.advance(30.0)
        assert family.delays == [1.0] * 5
        assert not family.gave_up
        supervisor.ask(Stop(), TIMEOUT)


def test_deaths_before_the_clock_was_set_back_do_not_count() -> None:
    intensity = Intensity(max_restarts=5, period_seconds=30.0)
    assert [intensity.count(now) for now in (3_600.0, 3_601.0)] == [1, 2]
    assert [intensity.count(now) for now in (0.0, 1.0, 30.0)] == [1, 2, 2]


def test_too_many_deaths_are_reported_once() -> None:
    family = Family([spec("a", []), spec("b", [])], max_restarts=2)
    with running(family.start()) as supervisor:
        supervisor.ask(Boot(), TIMEOUT)
        for _ in range(2):
            family.crash("a")
            family.pass_time()
        family.crash("a")
        assert family.gave_up == ["too many"]
        assert family.up() == ["b"]
        supervisor.ask(Stop(), TIMEOUT)


def test_the_death_of_an_earlier_life_is_no_news() -> None:
    family = Family([spec("a", [])])
    with running(family.start()) as supervisor:
        supervisor.ask(Boot(), TIMEOUT)
        supervisor.tell(Died("a", incarnation=0, error="long ago"))
        assert family.up() == ["a"]
        assert family.delays == []
        supervisor.ask(Stop(), TIMEOUT)


def test_a_restart_that_fails_counts_as_a_death() -> None:
    events: list[str] = []
    errors: list[TaskQueueError | None] = [None, MigrationError("not yet"), None]
    child = ChildSpec(Address("a"), lambda life: Child.start(life, events, errors.pop(0)))
    family = Family([child])
    with running(family.start()) as supervisor:
        supervisor.ask(Boot(), TIMEOUT)
        family.crash("a")
        family.pass_time()
        assert family.up() == []
        family.pass_time()
        assert family.up() == ["a"]
        assert family.delays == [1.0, 2.0]
        supervisor.ask(Stop(), TIMEOUT)


# --- replaced, added, retired ---------------------------------------------------------------


def test_a_child_that_hangs_is_left_behind_and_counted_until_it_comes_back() -> None:
    events: list[str] = []
    one, released = hanging("a", events), threading.Event()
    family = Family([one])
    with running(family.start()) as supervisor:
        supervisor.ask(Boot(), TIMEOUT)
        one.address.tell(Hang(released))
        assert supervisor.ask(CountStuck(), TIMEOUT) == 0
        supervisor.tell(Replace("a"))
        assert supervisor.ask(CountStuck(), TIMEOUT) == 1
        assert events == ["start a", "start a"]
        assert family.up() == ["a"]
        released.set()
        eventually(lambda: supervisor.ask(CountStuck(), TIMEOUT) == 0, "it came back", TIMEOUT)
        assert (family.delays, family.gave_up) == ([], [])
        supervisor.ask(Stop(), TIMEOUT)


def test_too_many_that_hang_are_not_replaced_until_one_of_them_comes_back() -> None:
    events: list[str] = []
    children = [hanging(name, events) for name in "ab"]
    released = {name: threading.Event() for name in "ab"}
    family = Family(children, max_stuck=1)
    with running(family.start()) as supervisor:
        supervisor.ask(Boot(), TIMEOUT)
        for child in children:
            child.address.tell(Hang(released[child.name]))
            supervisor.tell(Replace(child.name))
        assert supervisor.ask(CountStuck(), TIMEOUT) == 2
        assert family.up() == ["a"]
        family.pass_time()  # still too many: it is tried once more later
        assert family.up() == ["a"]
        released["a"].set()
        eventually(lambda: supervisor.ask(CountStuck(), TIMEOUT) == 1, "one came back", TIMEOUT)
        family.pass_time()
        assert family.up() == ["a", "b"]
        released["b"].set()
        supervisor.ask(Stop(), TIMEOUT)


def test_the_death_of_another_does_not_start_one_that_is_held_back() -> None:
    events: list[str] = []
    stuck, other, released = hanging("a", events), spec("b", events), threading.Event()
    family = Family([stuck, other], max_stuck=0)
    with running(family.start()) as supervisor:
        supervisor.ask(Boot(), TIMEOUT)
        stuck.address.tell(Hang(released))
        supervisor.tell(Replace("a"))
        assert family.up() == ["b"]
        family.crash("b")
        family.pass_time()
        assert family.up() == ["b"]
        released.set()
        supervisor.ask(Stop(), TIMEOUT)


def test_children_that_are_added_are_children_like_the_others() -> None:
    events: list[str] = []
    family = Family([spec("a", events)])
    with running(family.start()) as supervisor:
        supervisor.ask(Boot(), TIMEOUT)
        supervisor.ask(Add([spec("b", events), spec("c", events)]), TIMEOUT)
        assert events == ["start a", "start b", "start c"]
        assert family.up() == ["a", "b", "c"]
        supervisor.ask(Stop(), TIMEOUT)
        assert sorted(events[3:]) == ["stop a", "stop b", "stop c"]


def test_children_that_are_retired_stop_and_are_forgotten() -> None:
    events: list[str] = []
    family = Family([spec(name, events) for name in "abc"])
    with running(family.start()) as supervisor:
        supervisor.ask(Boot(), TIMEOUT)
        supervisor.tell(Retire(("b", "c", "nobody")))
        assert family.up() == ["a"]
        assert sorted(events[3:]) == ["stop b", "stop c"]
        supervisor.tell(Replace("b"))  # a late request for one that is gone
        supervisor.tell(Died("c", 1, "late"))
        assert family.up() == ["a"]
        assert family.delays == []
        supervisor.ask(Stop(), TIMEOUT)


def test_the_death_of_the_supervisor_itself_is_one_too_many() -> None:
    deaths: list[str] = []
    watchdog = Watchdog(lambda: deaths.append("too many"))
    watchdog.tell(Crash())
    assert deaths == []
    watchdog.tell(Died("supervisor", 1, "error"))
    assert deaths == ["too many"]
