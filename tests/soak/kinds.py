"""What the soak publishes, and what must become of it."""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from task_queue.actors.tasks.states import FINAL

_PYTHON = 'python = "tests.soak.actions:{}"'
_PROCESS = f'{_PYTHON}\nexecution = "process"'
_HTTP = 'http = "http://127.0.0.1:{{port}}/{}"\nallow_networks = ["127.0.0.0/8"]'
_SHORT = "\ntimeout_seconds = 1"
_LATER = """
command = ["sh", "-c", '''
echo >> $TASK_ID.later
test $(wc -l < $TASK_ID.later) -gt 2 || exit 75
rm $TASK_ID.later
echo '{{}}'
''']"""


@dataclass(frozen=True)
class Kind:
    """One kind of task.

    Attributes:
        name: Of the action.
        settings: What a configuration file says of it, with `{port}` for the endpoint's.
        status: What it ends as; `cancelled` if somebody cancels it while it runs.
        error: What its error must say if it ends as dead.
        share: How many of it there are in a round.
        options: What is published besides action and data.
        data: What it is given.
    """

    name: str
    settings: str
    status: str = "completed"
    error: str = ""
    share: int = 2
    options: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=lambda: {"text": "hello"})

    def problem(self, task: Mapping[str, Any]) -> str | None:
        """What is wrong with a task of this kind, as the API shows it, that is over."""
        status, error = task["status"], task["error"]
        if status == self.status and (error is None if self.is_good else self.error in str(error)):
            return None
        return f"{self.name} ended {status}: {error}"

    @property
    def is_good(self) -> bool:
        """Whether its action does what it is asked to."""
        return self.status == "completed"


def _dead(name: str, settings: str, error: str, share: int = 1, attempts: int = 1) -> Kind:
    backoff = {"backoff": {"base": 0.2}} if attempts > 1 else {}
    options = {"max_attempts": attempts, **backoff}
    return Kind(name, settings, "dead", error, share, options)


def _cancelled(name: str, settings: str) -> Kind:
    return Kind(name, settings, "cancelled", share=1)


KINDS = (
    Kind("thread-quick", _PYTHON.format("quick"), share=20),
    Kind("thread-async", _PYTHON.format("pause"), share=10),
    _dead("thread-fails", _PYTHON.format("fail"), "ValueError: on purpose", attempts=3, share=2),
    _dead("thread-hangs", _PYTHON.format("hang") + _SHORT, "timed out after 1 s, and did not stop"),
    _cancelled("thread-waits", _PYTHON.format("wait_for_cancel")),
    Kind("process-quick", _PROCESS.format("quick"), share=20),
    Kind(
        "process-spins",
        'python = "tests.benchmarks.own.spinning:spin"\ncpu = true',
        share=10,
        data={"seconds": 0.05},
    ),
    _dead("process-fails", _PROCESS.format("fail"), "ValueError: on purpose", attempts=2),
    _dead("process-leaves", _PROCESS.format("leave"), "exit code 3", attempts=2),
    _dead("process-crashes", _PROCESS.format("crash"), "SIGSEGV"),
    _dead("process-hangs", _PROCESS.format("ignore_sigterm") + _SHORT, "timed out after 1 s"),
    Kind("process-child", _PROCESS.format("leave_a_child"), share=1),
    _dead(
        "process-grows",
        _PROCESS.format("grow") + "\nmemory_limit_mib = 128",
        "memory_limit_mib is 128",
    ),
    _cancelled("process-waits", _PROCESS.format("wait")),
    Kind("program-quick", 'command = ["cat"]', share=10),
    _dead("program-fails", """command = ["sh", "-c", "echo no >&2; exit 3"]""", "exit code 3: no"),
    Kind("program-later", _LATER),
    _dead("program-slow", 'command = ["sleep", "30"]' + _SHORT, "timed out after 1 s"),
    _dead("program-long", 'command = ["head", "-c", "10000000", "/dev/zero"]', "max_result_bytes"),
    _cancelled("program-waits", 'command = ["sleep", "30"]'),
    Kind("http-quick", _HTTP.format("200"), share=10),
    _dead("http-gone", _HTTP.format("404"), "answered 404"),
    _dead("http-fails", _HTTP.format("500"), "answered 500", attempts=2),
    Kind("http-later", _HTTP.format("later")),
    _dead("http-slow", _HTTP.format("slow") + _SHORT, "timed out after 1 s"),
    _cancelled("http-waits", _HTTP.format("slow")),
)


def configuration(port: int) -> str:
    """The configuration file of a server with all of them.

    Args:
        port: Where the endpoint listens on 127.0.0.1.
    """
    kept = "\n".join(f"{status.value}_seconds = 60" for status in FINAL)
    actions = (f"[actions.{each.name}]\n{each.settings.format(port=port)}" for each in KINDS)
    return "\n".join(("[queues.tasks]\nconcurrency = 4", "[retention]", kept, *actions))


def rounds(seed: int) -> Iterator[Kind]:
    """Kinds without end: in each round all of them in random order, after one of each at first."""
    choose = random.Random(seed)
    yield from KINDS
    deck = [kind for kind in KINDS for _ in range(kind.share)]
    while True:
        choose.shuffle(deck)
        yield from deck
