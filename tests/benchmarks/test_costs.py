"""What a task costs, counted instead of timed: the same on every machine, so that CI can tell.

The real actors over a real SQLite file, but in one thread: everybody handles all that waits in its
inbox, then the next one does, until nobody has anything to do. So each count is exact. A count that
rises means that every task does more than before; raise it here only with a reason.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from task_queue.actors.actions.load import load_actions
from task_queue.actors.actions.process.child import Children
from task_queue.actors.consumer import ConsumerActor
from task_queue.actors.drivers.database import DatabaseDriver
from task_queue.actors.messages.clock import Tick
from task_queue.actors.messages.queue import Publish
from task_queue.actors.queue import QueueActor
from task_queue.actors.runtime.actor import Actor, Life
from task_queue.actors.runtime.address import Address
from task_queue.actors.store import counts, listing
from task_queue.actors.store.database import Database
from task_queue.actors.store.migrate import migrate
from task_queue.actors.store.session import Session
from task_queue.actors.tasks.backoff import Backoff
from task_queue.actors.tasks.filters import ALL
from task_queue.actors.tasks.limits import NO_LIMITS
from task_queue.actors.tasks.states import Status
from task_queue.actors.writer import DatabaseWriter
from task_queue.config.layers import load
from tests.databases import overhear
from tests.fakes import NOW, Inbox, a_task

BATCH = 50
"""As many as wait for one commit under load."""
DEFAULT, LARGE = 5, 500


class Machinery:
    """A queue, two consumers and a writer, none of which has a thread."""

    def __init__(self, database: Database, prefetch: int) -> None:
        self.messages: Counter[str] = Counter()
        self.said: Counter[str] = Counter()
        self._actors: list[Actor] = []
        self._queue, writer = Address("queue"), Address("writer")
        consumers = {name: Address(name) for name in ("consumer-1", "consumer-2")}
        self.store = Session(database)
        self._add(
            self._queue,
            QueueActor(
                Life(self._queue, Inbox()),
                driver=DatabaseDriver(
                    queue="tasks",
                    queue_address=self._queue,
                    writer=writer,
                    lease_seconds=30.0,
                    sole_owner=True,
                    worker="worker",
                    limits=NO_LIMITS,
                    now=lambda: NOW,
                    monotonic=lambda: 0.0,
                    random=lambda: 0.5,
                    random_bits=lambda _: 1,
                ),
                consumers=consumers,
                prefetch=prefetch,
                backoff=Backoff(1.0, 2.0, 60.0),
                supervisor=Inbox(),
                now=lambda: NOW,
                monotonic=lambda: 0.0,
                random=lambda: 0.5,
            ),
        )
        actions = load_actions(load(environ={}).settings, Children())
        for address in consumers.values():
            self._add(
                address,
                ConsumerActor(
                    Life(address, Inbox()),
                    queue=self._queue,
                    actions=actions,
                    now=lambda: NOW,
                    monotonic=lambda: 0.0,
                ),
            )
        self._add(
            writer,
            DatabaseWriter(
                Life(writer, Inbox()),
                session=self.store,
                max_batch=500,
                now=lambda: NOW,
                monotonic=lambda: 0.0,
            ),
        )
        self._end_overhearing = overhear(self.store, self._on_statement)
        sa.event.listen(self.store._engine, "commit", self._on_commit)
        for actor in self._actors:
            actor.setup()
        self.run()

    def run(self) -> None:
        """Let everybody work until nobody has anything to do."""
        while any(not actor.actor_inbox.empty() for actor in self._actors):
            for actor in self._actors:
                while not actor.actor_inbox.empty():
                    message = actor.actor_inbox.get().message
                    self.messages[type(message).__name__] += 1
                    actor.receive(message)

    def forget(self) -> None:
        """Count from here."""
        self.messages.clear()
        self.said.clear()

    def publish(self, count: int, **options: str) -> None:
        """Have so many tasks with these options published at once, and done."""
        publishes = [
            Publish((a_task(action="sum", data='{"numbers":[1,2]}', **options),), NOW + 5)
            for _ in range(count)
        ]
        for publish in publishes:
            self._queue.tell(publish)  # type: ignore[arg-type] # nobody waits here
        self.run()
        for publish in publishes:
            publish.reply_to.wait(0)
        counted = Counter(self.said)
        with self.store.transaction():
            assert counts.by_state(self.store.connection)["tasks"][Status.COMPLETED] == count
        self.said = counted

    def tick(self) -> None:
        """Have the clock tick once."""
        self._queue.tell(Tick(NOW))
        self.run()

    def close(self) -> None:
        self._end_overhearing()
        self.store.close()

    @property
    def commits(self) -> int:
        return self.said["COMMIT"]

    @property
    def statements(self) -> int:
        return self.said.total() - self.said["COMMIT"]

    def _add(self, address: Address, actor: Actor) -> None:
        address.bind(actor.actor_ref)
        self._actors.append(actor)

    def _on_commit(self, _: sa.Connection) -> None:
        self.said["COMMIT"] += 1

    def _on_statement(self, text: str, _: object) -> None:
        self.said[text.split(maxsplit=1)[0]] += 1


@pytest.fixture
def machinery(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Machinery]:
    """The machinery with the prefetch that the test names."""
    database = Database(f"sqlite:///{tmp_path}/tasks.db")
    migrate(database)
    made = Machinery(database, request.param)
    made.forget()
    yield made
    made.close()


at_prefetch = pytest.mark.parametrize("machinery", [DEFAULT, LARGE], indirect=True)


@at_prefetch
def test_a_lone_task_takes_two_commits_and_three_statements(machinery: Machinery) -> None:
    machinery.publish(1)
    assert machinery.commits == 2  # inserted and claimed; settled
    assert machinery.statements == 3


@at_prefetch
def test_a_lone_task_takes_eleven_messages(machinery: Machinery) -> None:
    machinery.publish(1)
    assert machinery.messages.total() == 11


@at_prefetch
def test_to_store_what_is_told_of_a_task_takes_two_statements_and_no_commit(
    machinery: Machinery,
) -> None:
    machinery.publish(1, callback="https://shop.example/hook")
    assert (machinery.commits, machinery.statements) == (2, 5)


@at_prefetch
def test_publishes_that_wait_together_are_one_commit_with_one_insert(machinery: Machinery) -> None:
    machinery.publish(BATCH)
    assert machinery.said["INSERT"] == 1
    # Each further commit settles what the two consumers have done; a few only claim, as long as
    # nothing is claimed ahead.
    assert machinery.commits == 4 + BATCH // 2
    assert machinery.messages["Stored"] == 1


@pytest.mark.parametrize(
    ("machinery", "claims", "messages_per_task"),
    [(DEFAULT, 20, 7.0), (LARGE, 13, 6.7)],
    indirect=["machinery"],
)
def test_a_task_among_many_takes_few_messages_and_a_share_of_a_claim(
    machinery: Machinery, claims: int, messages_per_task: float
) -> None:
    machinery.publish(BATCH)
    assert machinery.said["WITH"] == claims
    assert machinery.said["UPDATE"] == 2 + BATCH // 2  # two of the first few are settled alone
    assert machinery.messages.total() / BATCH <= messages_per_task


@pytest.mark.parametrize("machinery", [DEFAULT], indirect=True)
def test_a_tick_of_an_idle_queue_is_one_transaction_of_five_statements(
    machinery: Machinery,
) -> None:
    machinery.tick()
    # Made ready, lapsed, paused, claimed, a suspect claimed: nobody else tells of a pause that
    # another node or a former life began.
    assert (machinery.commits, machinery.statements) == (1, 5)
    assert machinery.messages.total() <= 8


@pytest.mark.parametrize("machinery", [DEFAULT], indirect=True)
def test_a_page_of_any_length_is_one_statement(machinery: Machinery) -> None:
    machinery.publish(BATCH)
    machinery.forget()
    with machinery.store.transaction():
        page, _ = listing.page(machinery.store.connection, ALL, limit=BATCH)
    assert len(page) == BATCH
    assert machinery.statements == 1
