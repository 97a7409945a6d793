"""The one failure rule, and addresses: who is told what when an actor fails."""

from dataclasses import dataclass
from threading import Event

import pytest

from task_queue.actors.errors import (
    ActorUnavailableError,
    BootError,
    QueueFullError,
    TaskQueueError,
)
from task_queue.actors.messages.base import Command, Message, Request
from task_queue.actors.messages.supervisor import Died
from task_queue.actors.runtime.actor import Actor, Life
from task_queue.actors.runtime.address import Address
from tests.fakes import Inbox, life, running, stop

TIMEOUT = 10.0


@dataclass(frozen=True, slots=True)
class Echo(Request[str]):
    text: str


@dataclass(frozen=True, slots=True)
class Fail(Request[str]):
    error: BaseException


@dataclass(frozen=True, slots=True)
class Hold(Request[str]):
    pass


@dataclass(frozen=True, slots=True)
class Pause(Command):
    until: Event


@dataclass(frozen=True, slots=True)
class Unknown(Command):
    pass


class Parrot(Actor):
    def __init__(
        self,
        life: Life,
        error_in_setup: BaseException | None = None,
        fail_after: Event | None = None,
    ) -> None:
        super().__init__(life)
        self.error_in_setup = error_in_setup
        self.fail_after = fail_after
        self.held: list[Hold] = []

    def setup(self) -> None:
        if self.fail_after is not None:
            assert self.fail_after.wait(TIMEOUT)
        if self.error_in_setup is not None:
            raise self.error_in_setup

    def receive(self, message: Message) -> None:
        match message:
            case Echo():
                message.reply_to.answer(message.text)
            case Fail():
                raise message.error
            case Hold():
                self.held.append(message)
            case Pause():
                assert message.until.wait(TIMEOUT)
            case _:
                self.unexpected(message)

    def give_up(self, error: TaskQueueError) -> None:
        for message in self.held:
            message.abandon(error)


def test_an_expected_error_goes_to_the_asker_and_harms_no_actor() -> None:
    with running(Parrot.start(life("parrot"))) as parrot:
        with pytest.raises(QueueFullError):
            parrot.ask(Fail(QueueFullError()), TIMEOUT)
        assert parrot.ask(Echo("still here"), TIMEOUT) == "still here"


@pytest.mark.parametrize("error", [ZeroDivisionError(), SystemExit(3), KeyboardInterrupt()])
def test_an_unexpected_error_in_an_ask_crashes_the_actor_answers_and_is_reported(
    error: BaseException,
) -> None:
    watcher = Inbox()
    with running(Parrot.start(Life(Address("parrot"), watcher, incarnation=4))) as parrot:
        with pytest.raises(ActorUnavailableError):
            parrot.ask(Fail(error), TIMEOUT)
        died = watcher.wait_for(Died, TIMEOUT)
        assert (died.name, died.incarnation) == ("parrot", 4)
        with pytest.raises(ActorUnavailableError):
            parrot.ask(Echo("anybody?"), TIMEOUT)


def test_a_base_exception_in_one_actor_leaves_the_others_alone() -> None:
    with running(Parrot.start(life("a"))) as doomed, running(Parrot.start(life("b"))) as other:
        with pytest.raises(ActorUnavailableError):
            doomed.ask(Fail(SystemExit(1)), TIMEOUT)
        assert other.ask(Echo("fine"), TIMEOUT) == "fine"


def test_everybody_who_waits_is_answered_when_an_actor_crashes() -> None:
    parrot = Parrot.start(life("parrot"))
    held, behind, all_sent = Hold(), Echo("behind the crash"), Event()
    parrot.tell(Pause(all_sent))  # nothing can be sent any more once it has crashed
    parrot.tell(held)
    parrot.tell(Unknown())
    parrot.tell(behind)
    all_sent.set()
    for request in (held, behind):
        with pytest.raises(ActorUnavailableError):
            request.reply_to.wait(TIMEOUT)
    stop(parrot)


def test_everybody_who_waits_is_answered_when_an_actor_stops() -> None:
    parrot = Parrot.start(life("parrot"))
    held = Hold()
    parrot.tell(held)
    stop(parrot)
    with pytest.raises(ActorUnavailableError):
        held.reply_to.wait(TIMEOUT)


@pytest.mark.parametrize(
    ("error", "reported"),
    [(QueueFullError("full"), QueueFullError), (ZeroDivisionError(), BootError)],
)
def test_a_death_in_setup_is_noticed(error: Exception, reported: type[Exception]) -> None:
    own = life("parrot")
    parrot = Parrot.start(own, error)
    with pytest.raises(reported):
        own.started.wait(TIMEOUT)
    with pytest.raises(ActorUnavailableError), running(parrot) as address:
        address.ask(Echo("anybody?"), TIMEOUT)


@pytest.mark.parametrize("error", [QueueFullError("full"), ZeroDivisionError()])
def test_what_came_before_a_death_in_setup_is_answered_and_not_handled(error: Exception) -> None:
    early, fail = Echo("too early"), Event()
    parrot = Parrot.start(life("parrot"), error, fail)
    parrot.tell(early)
    fail.set()
    with pytest.raises(ActorUnavailableError):
        early.reply_to.wait(TIMEOUT)
    stop(parrot)


def test_an_address_leads_to_whoever_plays_the_role_now() -> None:
    address = Address("parrot")
    with pytest.raises(ActorUnavailableError, match="the parrot is not running"):
        address.ask(Echo("nobody yet"), TIMEOUT)
    for _ in range(2):
        parrot = Parrot.start(life("parrot"))
        address.bind(parrot)
        assert address.ask(Echo("hello"), TIMEOUT) == "hello"
        stop(parrot)
