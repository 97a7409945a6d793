"""Publishers that ask for everything a task may ask for, and note everything they were told."""

import json
import random
from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from http.client import HTTPConnection, HTTPException
from typing import Any
from uuid import uuid4

from task_queue.actors.tasks.states import FINAL, Status
from tests.faults.load import RETRY_PAUSE_SECONDS, Load
from tests.faults.stored import Row, Run, most_at_once
from tests.harness import ServerProcess, eventually

QUEUES = ("tasks", "mail")
UNIQUE_KEYS = ("red", "green", "blue")
KEYS = ("ann", "bob")
PLACES = 2
"""The servers' `concurrency_per_key`."""
BATCH = 8
CUT_IN = 10
"""Of so many requests that can be repeated one has to be, since the client hangs up."""


@dataclass(frozen=True)
class Order:
    """One request: the tasks it asks for, each a `sum` with a number of its own."""

    numbers: tuple[int, ...]
    tasks: tuple[Mapping[str, Any], ...]
    headers: Mapping[str, str]
    hang_up: bool

    @property
    def is_batch(self) -> bool:
        return len(self.tasks) > 1

    @property
    def can_be_repeated(self) -> bool:
        return "Idempotency-Key" in self.headers

    @property
    def path(self) -> str:
        return "/tasks/batch" if self.is_batch else "/tasks"

    @property
    def body(self) -> str:
        return json.dumps({"tasks": self.tasks} if self.is_batch else self.tasks[0])


class LifeLoad(Load):
    """As `Load`, with delays, priorities, unique keys, keys, batches and two queues at random.

    A request with an `Idempotency-Key` is repeated until it is answered, whether its connection
    broke or was broken off.
    """

    def __init__(self, seed: int, publishers: int = 6) -> None:
        super().__init__(publishers)
        self.duplicates: set[tuple[str, str]] = set()
        self.batches: list[Order] = []
        self.repeated = 0
        self.replayed = 0
        self._random = random.Random(seed)
        self._again: deque[Order] = deque()

    def finish(self, server: ServerProcess) -> None:
        """Stop, and repeat what can be repeated until it is answered."""
        self.stop()
        connection = HTTPConnection("127.0.0.1", server.client.base_url.port)

        def answered() -> bool:
            if self._again:
                self._publish(connection)
            return not self._again

        eventually(answered, "what can be repeated is answered")
        connection.close()

    def check(self, rows: Iterable[Row]) -> None:
        """Compare what the publishers were told with what is stored, when all is done."""
        loaded = {row.id: row for row in rows if row.action == "sum"}
        super().check(loaded.values())
        stored = {row.number for row in loaded.values()}
        assert stored <= self.sent - self.refused
        for order in self.batches:
            assert len(stored.intersection(order.numbers)) in {0, len(order.numbers)}, "all or none"
        for unique_key, task_id in self.duplicates:
            assert loaded[task_id].unique_key == unique_key

    def check_all_was_in_play(self) -> None:
        """See that the load was what it is meant to be."""
        assert self.repeated
        assert self.replayed
        assert self.duplicates
        assert self.batches

    def _publish(self, connection: HTTPConnection) -> None:
        if connection.sock is None:
            connection.connect()  # what cannot connect has sent nothing
        with self._changed:
            order = self._again.popleft() if self._again else self._new_order()
        try:
            connection.request("POST", order.path, order.body, dict(order.headers))
            if order.hang_up:
                connection.close()
                self._repeat(order)
                return
            response = connection.getresponse()
            answer = json.loads(response.read())
        except (OSError, HTTPException):
            self._repeat(order)
            raise
        self._note(order, response.status, dict(response.headers), answer)
        if response.status not in {200, 202}:
            self._stopping.wait(RETRY_PAUSE_SECONDS)  # as Retry-After asks, in short

    def _new_order(self) -> Order:
        size = BATCH if self._random.random() < 1 / BATCH else 1
        numbers = tuple(next(self._numbers) for _ in range(size))
        self.sent.update(numbers)
        headers = {"Content-Type": "application/json"}
        hang_up = False
        if self._random.random() < 0.5:
            headers["Idempotency-Key"] = uuid4().hex
            hang_up = self._random.random() < 1 / CUT_IN
        tasks = tuple(self._task(number, alone=size == 1) for number in numbers)
        order = Order(numbers, tasks, headers, hang_up)
        if order.is_batch:
            self.batches.append(order)
        return order

    def _task(self, number: int, *, alone: bool) -> Mapping[str, Any]:
        choose = self._random
        task: dict[str, Any] = {
            "action": "sum",
            "data": {"numbers": [number, number]},
            "queue": choose.choice(QUEUES),
        }
        if choose.random() < 0.3:
            task["delay_seconds"] = choose.uniform(0.01, 0.4)
        if choose.random() < 0.3:
            task["priority"] = choose.randint(-100, 100)
        if choose.random() < 0.3:
            task["key"] = choose.choice(KEYS)
        # Not in batches, of which each task is to be one that is stored.
        if alone and choose.random() < 0.2:
            task["unique_key"] = choose.choice(UNIQUE_KEYS)
        return task

    def _repeat(self, order: Order) -> None:
        if order.can_be_repeated:
            with self._changed:
                self.repeated += 1
                self._again.append(replace(order, hang_up=False))

    def _note(
        self, order: Order, status: int, headers: Mapping[str, str], answer: Mapping[str, Any]
    ) -> None:
        with self._changed:
            self.replayed += headers.get("Idempotency-Replayed") == "true"
            match status:
                case 202 if order.is_batch and answer["count"] == len(order.numbers):
                    self.accepted.update(zip(answer["ids"], order.numbers, strict=True))
                case 202 if not order.is_batch:
                    self.accepted[answer["id"]] = order.numbers[0]
                case 200 if answer["duplicate"] is True:
                    self.duplicates.add((order.tasks[0]["unique_key"], answer["id"]))
                case 409 | 503 if order.can_be_repeated and "Retry-After" in headers:
                    self._again.append(order)
                case 503 if "Retry-After" in headers:
                    self.refused.update(order.numbers)
                case _:
                    self.unexpected.append(f"{status} {answer}")
            self._changed.notify_all()


def check_runs(
    rows: Mapping[str, Row], runs: Mapping[str, list[Run]], deaths: Sequence[float] = ()
) -> None:
    """See how the attempts of all tasks went.

    Each task completed once, after nothing but losses, and never ran beside more tasks with its
    keys than it may.

    Args:
        rows: The tasks.
        runs: Their attempts.
        deaths: When the servers died that lost some.
    """
    for row in rows.values():
        outcomes = [(run.number, run.outcome) for run in runs[row.id]]
        lost = [(number, "lost") for number in range(1, row.attempt)]
        assert outcomes == [*lost, (row.attempt, "completed")]
    for name, most in (("unique_key", 1), ("key", PLACES)):
        for group in grouped(rows.values(), name):
            together = [_surely(run, deaths) for row in group for run in runs[row.id]]
            assert most_at_once(together) <= most, (name, group[0])


def _surely(run: Run, deaths: Sequence[float]) -> Run:
    """The part of the attempt in which it surely held its place.

    Of one that was lost it is only known when it was to be claimed, not when it was.
    """
    if run.outcome == "lost":
        return replace(run, started_at=min(death for death in deaths if death >= run.started_at))
    return run


def grouped(rows: Iterable[Row], name: str) -> Collection[list[Row]]:
    """The rows that have something there, by what it is and by queue."""
    groups: defaultdict[tuple[str, object], list[Row]] = defaultdict(list)
    for row in rows:
        if (value := getattr(row, name)) is not None:
            groups[row.queue, value].append(row)
    return groups.values()


def check_keys(rows: Iterable[Row]) -> None:
    """See that no more unfinished tasks have the same unique key, nor run with the same key."""
    rows = list(rows)
    for group in grouped(rows, "unique_key"):
        assert sum(row.status not in FINAL for row in group) <= 1, group
    for group in grouped(rows, "key"):
        assert sum(row.status == Status.RUNNING for row in group) <= PLACES, group
