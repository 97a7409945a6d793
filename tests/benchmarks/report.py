"""The results as Markdown."""

from collections.abc import Iterable, Iterator, Sequence

from tests.benchmarks import measures
from tests.benchmarks.own.variants import DEFAULT, NAME, PREFETCH_500, QUIET
from tests.benchmarks.results import About, Results
from tests.benchmarks.shown import NOTHING, summarized
from tests.benchmarks.system import Measure
from tests.benchmarks.systems import task_queue_dashboard as dashboard
from tests.benchmarks.systems.task_queue_growth import FINISHED, variant_of
from tests.benchmarks.targets import targets

_RATIOS = (
    measures.PUBLISH_TO_GET,
    measures.PUBLISH_TO_POST,
    measures.EMPTY_GET,
    measures.EMPTY_POST,
    measures.HTTP_FINISHED,
    measures.HTTP_PUBLISH_CPU,
    measures.DRAIN_CPU,
)
_GROWN = (
    measures.GROWN_PUBLISH,
    measures.GROWN_DRAIN,
    measures.FIRST_PAGE,
    measures.COMPLETED_PAGE,
    measures.DEEP_PAGE,
)
_SINGLE = (
    measures.HTTP_PUBLISH_ONE,
    measures.HTTP_PUBLISH_ONE_P50,
    measures.HTTP_PUBLISH_ONE_P99,
    measures.STORE_PUBLISH,
    measures.LATENCY_FLOOR,
    measures.MEMORY_IDLE,
    measures.MEMORY_FULL,
    measures.READY_EMPTY,
    measures.READY_FULL,
    measures.IDLE_CPU,
    measures.WITHOUT_KEY,
    measures.WITH_KEY,
    measures.KEY_RATIO,
    measures.WITHOUT_WAITING_P99,
    measures.WAITING_P99,
    measures.WAITING_RATIO,
    measures.WITHOUT_WAITING_ONE_P99,
    measures.WAITING_ONE_P99,
    measures.WAITING_ONE_RATIO,
    measures.CPU_ONE_PROCESS,
    measures.CPU_TWO_PROCESSES,
    measures.CPU_TWO_THREADS,
    measures.CPU_TWO_TO_ONE,
)
_VARIANTS = (DEFAULT, PREFETCH_500, QUIET)


def markdown(results: Results) -> str:
    """The whole report."""
    return "\n".join(_lines(results))


def _lines(results: Results) -> Iterator[str]:
    yield "# Side by side"
    yield ""
    yield f"{results.started:%Y-%m-%d %H:%M} UTC. To repeat it:"
    yield ""
    yield f"    {results.command}"
    yield ""
    yield "Medians of the rounds, with the least and the most. Every system runs the same work:"
    yield "the sum of ten numbers, by two workers, results kept."
    yield ""
    if results.scale < 1:
        yield f"A quick look: all counts are {results.scale:g} times what is written here."
        yield ""
    yield from _table(("machine", ""), results.machine.items())
    for name, reason in results.missing.items():
        yield f"Left out: {name}. {reason}."
        yield ""
    for name, reason in results.failed.items():
        yield f"**Failed: {name}.** {reason}"
        yield ""
    yield "## Targets"
    yield ""
    yield from _table(
        ("target", "bound", "measured", ""), (each.cells() for each in targets(results))
    )
    yield "## Task queues with their own clients"
    yield ""
    yield from _peers(results)
    yield "## Behind HTTP"
    yield ""
    yield from _behind_http(results)
    yield f"## {NAME} alone"
    yield ""
    yield from _table(
        ("", *(variant.title for variant in _VARIANTS)),
        (
            [each.title, *(_cell(results, NAME, each, variant.name) for variant in _VARIANTS)]
            for each in _RATIOS
        ),
    )
    yield from _table(("", ""), ([each.title, _cell(results, NAME, each)] for each in _SINGLE))
    yield "## With more and more finished tasks in the table"
    yield ""
    yield from _table(
        ("finished tasks", *(each.title for each in _GROWN)),
        (
            [f"{rows:,}", *(_cell(results, NAME, each, variant_of(rows)) for each in _GROWN)]
            for rows in FINISHED
        ),
    )
    yield "## The dashboard with more and more tasks in the table"
    yield ""
    yield from _table(
        ("page", *(f"{rows:,} tasks" for rows in dashboard.ROWS), "ratio"),
        (
            [
                page,
                *(
                    _cell(results, NAME, measures.DASHBOARD_PAGE, dashboard.variant_of(page, rows))
                    for rows in dashboard.ROWS
                ),
                _cell(results, NAME, measures.DASHBOARD_RATIO, page),
            ]
            for page in dashboard.PAGES
        ),
    )
    yield "## What the figures include"
    yield ""
    yield from _included(results)


def _peers(results: Results) -> Iterator[str]:
    """Publish, drain and latency of each system; its caveats below."""
    columns = (measures.DRAIN, measures.LATENCY_P50, measures.LATENCY_P99)
    notes: list[str] = []
    rows = []
    for system in _measured(results, measures.LATENCY_P50):
        is_own = system.name == NAME
        publish = measures.HTTP_PUBLISH_ONE if is_own else measures.PUBLISH
        figures = [_cell(results, system.name, each) for each in (publish, *columns)]
        rows.append([_noted(system, notes), *figures, system.stands_on])
        if is_own:
            for variant in (PREFETCH_500, QUIET):
                drain = _cell(results, NAME, measures.DRAIN, variant.name)
                blank = [NOTHING] * 2
                title = f"{NAME}, {variant.title}"
                rows.append([title, NOTHING, drain, *blank, system.stands_on])
    headers = ("", *(each.title for each in (measures.PUBLISH, *columns)), "stands on")
    yield from _table(headers, rows)
    yield from _notes(notes)


def _behind_http(results: Results) -> Iterator[str]:
    """`POST /tasks` of each system, and how many times the best peer's it is."""
    columns = (
        measures.HTTP_PUBLISH,
        measures.HTTP_PUBLISH_P50,
        measures.HTTP_PUBLISH_P99,
        measures.HTTP_LATENCY_P50,
    )
    systems = list(_measured(results, measures.HTTP_PUBLISH))
    of_peers = (
        results.of(each.name, measures.HTTP_PUBLISH.key) for each in systems if each.name != NAME
    )
    best = max((each.median for each in of_peers if each), default=None)
    notes: list[str] = []
    rows = []
    for system in systems:
        own = system.name == NAME
        for variant in (DEFAULT, PREFETCH_500) if own else (DEFAULT,):
            rate = results.of(system.name, measures.HTTP_PUBLISH.key, variant.name)
            title = f"{NAME}, {variant.title}" if own else _noted(system, notes)
            times = f"{rate.median / best:.1f}" if rate and best else NOTHING
            figures = [_cell(results, system.name, each, variant.name) for each in columns]
            rows.append([title, *figures, times, system.stands_on])
    headers = ("", *(each.title for each in columns), "÷ best peer", "stands on")
    yield from _table(headers, rows)
    yield from _notes(notes)


def _measured(results: Results, measure: Measure) -> Iterator[About]:
    """The systems of which this was measured, ours first."""
    for system in sorted(results.systems, key=lambda each: each.name != NAME):
        if results.of(system.name, measure.key):
            yield system


def _noted(system: About, notes: list[str]) -> str:
    """The system's name with the numbers of its caveats, which join the notes."""
    for caveat in system.caveats:
        if caveat not in notes:
            notes.append(caveat)
    numbers = ", ".join(str(notes.index(caveat) + 1) for caveat in system.caveats)
    return f"{system.name} [{numbers}]" if numbers else system.name


def _notes(notes: Sequence[str]) -> Iterator[str]:
    yield from (f"{number}. {note}" for number, note in enumerate(notes, 1))
    if notes:
        yield ""


def _included(results: Results) -> Iterator[str]:
    taken = {each.sample.measure for each in results.taken}
    sentences: dict[str, list[str]] = {}
    for measure in measures.BY_KEY.values():
        if measure.key in taken:
            sentences.setdefault(measure.includes, []).append(measure.title)
    for sentence, titles in sentences.items():
        yield f"- **{'; '.join(titles)}**: {sentence}."


def _cell(results: Results, system: str, measure: Measure, variant: str = "") -> str:
    return summarized(results.of(system, measure.key, variant), measure.unit)


def _table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """A Markdown table, and an empty line behind it."""
    yield f"| {' | '.join(headers)} |"
    yield "|---" * len(headers) + "|"
    for row in rows:
        yield f"| {' | '.join(row)} |"
    yield ""
