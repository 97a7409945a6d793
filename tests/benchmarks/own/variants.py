"""The settings under which this system is measured."""

from dataclasses import dataclass

from tests.benchmarks.system import Size

NAME = "task-queue"


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to run the server.

    Attributes:
        name: What samples call it.
        title: What tables call it.
        settings: What differs from the defaults, as for `--set`.
    """

    name: str
    title: str
    settings: tuple[str, ...] = ()


DEFAULT = Variant("", "default settings")
QUIET = Variant(
    "prefetch 500, log at WARNING",
    "prefetch 500, log at WARNING",
    ("queues.tasks.prefetch=500", "log.level=WARNING"),
)
"""As the peers' workers, which say nothing of a task that went well."""
PREFETCH_500 = Variant("prefetch 500", "prefetch 500", ("queues.tasks.prefetch=500",))
"""Enough tasks claimed ahead that the consumers keep up with what is published."""


def seconds(size: Size, full: float) -> float:
    """How long to measure what takes so many seconds at full size; at least one."""
    return max(1.0, full * size.scale)
