"""One soak: a server, its load, and what is seen of both."""

import json
import queue
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.harness import DEADLINE_SECONDS, ServerProcess, eventually
from tests.soak import watch
from tests.soak.endpoint import endpoint
from tests.soak.kinds import configuration
from tests.soak.load import Load, counts_of

_END_SECONDS = 60.0
"""What the tasks that are under way at the end may take."""
_GONE_SECONDS = 5.0
"""What a process that was killed may take to be gone. Those that the actions leave behind would end
by themselves, but later."""


@dataclass(frozen=True)
class Report:
    """What came of it.

    Attributes:
        samples: In the order they were taken; the last one when all tasks were over.
        series: Whether each of what was sampled stayed as it was.
        ended: How many tasks of each kind were seen to be over.
        logged: How often the server logged each event, as "level: event", with the reason if it
            gives one.
        problems: What was not as it has to be, and how often.
    """

    samples: list[watch.Sample]
    series: list[watch.Series]
    ended: dict[str, int]
    logged: dict[str, int]
    problems: dict[str, int]

    @property
    def is_good(self) -> bool:
        """Whether nothing went wrong, and nothing has grown."""
        return not self.problems and all(each.is_flat is not False for each in self.series)

    def summary(self) -> str:
        """What it comes to, in lines."""
        lines = ["", "stays as it is?", *(each.line() for each in self.series)]
        counted = {"tasks over": self.ended, "logged": self.logged, "problems": self.problems}
        for title, counts in counted.items():
            lines += ["", title, *(f"{count:>6} {what}" for what, count in sorted(counts.items()))]
        return "\n".join(lines if self.problems else [*lines, "  none"])

    def save(self, directory: Path) -> None:
        """Write `soak.json`, and `soak.txt` with the table."""
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "soak.json").write_text(json.dumps(asdict(self), indent=1), "utf-8")
        table = [watch.header(), *map(watch.row, self.samples), self.summary(), ""]
        (directory / "soak.txt").write_text("\n".join(table), "utf-8")


class _Server(ServerProcess):
    """Counts what it logs, and keeps none of it: a long soak logs a lot."""

    def __init__(self, directory: Path, *settings: str, **options: Any) -> None:  # noqa: ANN401 - the base's
        super().__init__(directory, *settings, **options)
        self.logged: Counter[str] = Counter()

    def _read_log(
        self, process: subprocess.Popen[str], _events: queue.SimpleQueue[dict[str, Any]]
    ) -> None:
        assert process.stderr is not None
        with process.stderr:
            for line in process.stderr:
                try:
                    event = json.loads(line)
                except ValueError:
                    event = {"level": "text", "event": line.strip()}
                said = [event[name] for name in ("level", "event", "reason") if name in event]
                self.logged[": ".join(said)] += 1


def soak(
    directory: Path, seconds: float, *, every_seconds: float, say: Callable[[str], None]
) -> Report:
    """Keep a server under load for so long.

    Args:
        directory: Empty; the server runs there.
        seconds: How long.
        every_seconds: How often to look.
        say: Shows a line.
    """
    samples: list[watch.Sample] = []
    with _serving(directory) as server:
        load = Load(server)
        started = time.monotonic()

        def take() -> None:
            elapsed = time.monotonic() - started
            counts, publishes = counts_of(server), load.taken_seconds()
            samples.append(watch.sample(server.pid, directory, elapsed, publishes, counts))
            say(watch.row(samples[-1]))
            load.look()

        say(watch.header())
        load.start()
        try:
            for number in range(1, int(seconds / every_seconds) + 1):
                time.sleep(max(0.0, started + number * every_seconds - time.monotonic()))
                take()
        finally:
            load.stop()
        problems = load.problems
        try:
            eventually(lambda: load.look() == 0, "all tasks are over", _END_SECONDS)
        except AssertionError:
            problems.update(f"{kind} is not over" for kind in load.unfinished())
        found = watch.series(samples)
        if not _soon(lambda: watch.zombies(server.pid) == 0):
            problems["there are zombies when all tasks are over"] += 1
        take()
        if code := server.terminate():
            problems[f"the server ended with exit code {code}"] += 1
    if not _soon(lambda: not watch.running_in(directory)):
        left = map(watch.name, watch.running_in(directory))
        problems.update(f"{each} is left when the server is gone" for each in left)
    return Report(samples, found, dict(load.ended), dict(server.logged), dict(problems))


def _soon(look: Callable[[], bool]) -> bool:
    """Whether it comes true while what was killed ends, and what has ended is waited for."""
    try:
        return eventually(look, "what was killed has ended", _GONE_SECONDS)
    except AssertionError:
        return False


@contextmanager
def _serving(directory: Path) -> Iterator[_Server]:
    """A server with actions of every kind, and where those of HTTP lead."""
    with endpoint() as port:
        file = directory / "soak.toml"
        file.write_text(configuration(port), "utf-8")
        # Said last, so that no variable of this shell leads to another database.
        settings = ("database.url=sqlite:///tasks.db", "http.host=127.0.0.1", "log.format=json")
        server = _Server(directory, *settings, environ={"TASK_QUEUE_CONFIG": str(file)})
        try:
            server.start()
            eventually(
                lambda: server.client.get("/readyz").is_success, "it is ready", DEADLINE_SECONDS
            )
            yield server
        finally:
            server.close()
