"""What the figures must come to, as ratios within one run."""

import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.benchmarks import measures
from tests.benchmarks.own.variants import DEFAULT, NAME, PREFETCH_500, QUIET
from tests.benchmarks.results import Results
from tests.benchmarks.shown import NOTHING, shown
from tests.benchmarks.system import Measure, Unit
from tests.benchmarks.systems import task_queue_dashboard as dashboard
from tests.benchmarks.systems.task_queue_growth import LARGE, SMALL, variant_of


@dataclass(frozen=True, slots=True)
class Target:
    """One bound on one value.

    Attributes:
        title: What is compared.
        value: What was measured; None if it was not.
        bound: What it must at least or at most be.
        unit: Of both.
        at_least: Whether the bound is the least that meets it, or the most.
    """

    title: str
    value: float | None
    bound: float
    unit: Unit
    at_least: bool

    @property
    def is_met(self) -> bool | None:
        """None if there is nothing to say it of."""
        if self.value is None:
            return None
        compare: Callable[[float, float], bool] = operator.ge if self.at_least else operator.le
        return compare(self.value, self.bound)

    def cells(self) -> list[str]:
        """A row of the table."""
        sign = "≥" if self.at_least else "≤"
        value = NOTHING if self.value is None else shown(self.value, self.unit)
        verdict = {True: "met", False: "**not met**", None: "not measured"}[self.is_met]
        return [self.title, f"{sign} {shown(self.bound, self.unit)}", value, verdict]


def targets(results: Results) -> Iterator[Target]:
    """Every target with what this run says of it."""

    def own(measure: Measure, variant: str = "") -> float | None:
        return _median(results, NAME, measure, variant)

    def ratio(title: str, value: float | None, bound: float, *, at_least: bool = True) -> Target:
        return Target(title, value, bound, Unit.RATIO, at_least)

    for variant in (DEFAULT, PREFETCH_500):
        at = f", {variant.title}"
        publish = own(measures.HTTP_PUBLISH, variant.name)
        for measure in (measures.PUBLISH_TO_GET, measures.PUBLISH_TO_POST):
            yield ratio(f"{measure.title}{at}", own(measure, variant.name), 0.6)
        p99 = own(measures.HTTP_PUBLISH_P99, variant.name)
        yield Target(f"publish over HTTP, p99{at}", p99, 0.05, Unit.SECONDS, at_least=False)
        best = max(_peers(results, measures.HTTP_PUBLISH), default=None)
        yield ratio(f"publish over HTTP ÷ best peer{at}", _ratio(publish, best), 3)
    for peer, times in (("Huey", 10), ("Celery", 30)):
        of_peer = _median(results, peer, measures.DRAIN)
        for variant in (QUIET, PREFETCH_500, DEFAULT):
            drain = _ratio(own(measures.DRAIN, variant.name), of_peer)
            yield ratio(f"drain ÷ {peer}, {variant.title}", drain, times)
    best = min(_peers(results, measures.LATENCY_P50), default=None)
    latency = own(measures.LATENCY_P50)
    title = "publish → result, p50, over HTTP ÷ best peer's own client"
    yield ratio(title, _ratio(latency, best), 0.5, at_least=False)
    best = min(_peers(results, measures.HTTP_LATENCY_P50), default=None)
    title = "publish → result, p50, over HTTP ÷ best peer behind HTTP"
    yield ratio(title, _ratio(latency, best), 0.5, at_least=False)
    yield ratio(measures.GROWN_PUBLISH_RATIO.title, own(measures.GROWN_PUBLISH_RATIO), 0.8)
    yield ratio(measures.GROWN_DRAIN_RATIO.title, own(measures.GROWN_DRAIN_RATIO), 0.8)
    large, small = (own(measures.FIRST_PAGE, variant_of(rows)) for rows in (LARGE, SMALL))
    title = f"`GET /tasks`, {LARGE:,} finished tasks ÷ {SMALL:,}"
    yield ratio(title, _ratio(large, small), 1.5, at_least=False)
    for page in dashboard.PAGES:
        title = f"dashboard, {page}, {dashboard.LARGE:,} tasks ÷ {dashboard.SMALL:,}"
        yield ratio(title, own(measures.DASHBOARD_RATIO, page), 1.5, at_least=False)
    idle, full = own(measures.MEMORY_IDLE), own(measures.MEMORY_FULL)
    more = None if idle is None or full is None else full - idle
    title = "memory with a million tasks queued, above idle"
    yield Target(title, more, 30, Unit.MIB, at_least=False)
    ready = own(measures.READY_FULL)
    yield Target(measures.READY_FULL.title, ready, 2, Unit.SECONDS, at_least=False)
    yield Target(measures.IDLE_CPU.title, own(measures.IDLE_CPU), 1, Unit.PERCENT, at_least=False)
    yield ratio(measures.KEY_RATIO.title, own(measures.KEY_RATIO), 0.95)
    for waiting in (measures.WAITING_RATIO, measures.WAITING_ONE_RATIO):
        yield ratio(waiting.title, own(waiting), 1.5, at_least=False)
    yield ratio(measures.CPU_TWO_TO_ONE.title, own(measures.CPU_TWO_TO_ONE), 1.8)


def _peers(results: Results, measure: Measure) -> Iterator[float]:
    for system in results.systems:
        value = _median(results, system.name, measure)
        if system.name != NAME and value is not None:
            yield value


def _median(results: Results, system: str, measure: Measure, variant: str = "") -> float | None:
    summary = results.of(system, measure.key, variant)
    return None if summary is None else summary.median


def _ratio(value: float | None, other: float | None) -> float | None:
    return None if value is None or not other else value / other
