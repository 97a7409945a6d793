"""The results as SVG: bars side by side, lines over a growing table."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tests.benchmarks import measures
from tests.benchmarks.own.variants import DEFAULT, NAME, PREFETCH_500, QUIET
from tests.benchmarks.results import Results, Summary
from tests.benchmarks.system import Measure
from tests.benchmarks.systems.task_queue_growth import FINISHED, variant_of

_OURS, _OTHERS = "#1f5fbf", "#9aa5b1"
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text, in whatever font the reader has
    "svg.hashsalt": "task-queue",  # the same results make the same file
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
_PAGES = (measures.FIRST_PAGE, measures.COMPLETED_PAGE, measures.DEEP_PAGE)
_RATES = (measures.GROWN_PUBLISH, measures.GROWN_DRAIN)


def draw(results: Results, directory: Path) -> None:
    """Write `drain.svg`, `http.svg` and `growth.svg`, those for which there are figures."""
    for name, measure, title in (
        ("drain", measures.DRAIN, "Tasks drained per second"),
        ("http", measures.HTTP_PUBLISH, "Publishes over HTTP per second, 32 connections"),
    ):
        if bars := list(_bars(results, measure)):
            with _figure(directory / f"{name}.svg", 0.9 + 0.4 * len(bars)) as figure:
                _draw_bars(figure.subplots(), bars, title)
    if results.of(NAME, measures.FIRST_PAGE.key, variant_of(FINISHED[0])):
        with _figure(directory / "growth.svg", 3.4) as figure:
            rates, pages = figure.subplots(1, 2)
            _draw_lines(rates, results, _RATES, "per second", 1)
            _draw_lines(pages, results, _PAGES, "milliseconds", 1_000)


@contextmanager
def _figure(path: Path, height: float) -> Iterator[Figure]:
    with rc_context(_STYLE):
        figure = Figure(figsize=(8, height), facecolor="white", layout="constrained")
        yield figure
        figure.savefig(path, metadata={"Date": None})


def _bars(results: Results, measure: Measure) -> Iterator[tuple[str, Summary]]:
    for system in results.systems:
        for variant in (DEFAULT, PREFETCH_500, QUIET):
            if summary := results.of(system.name, measure.key, variant.name):
                own = system.name == NAME
                yield f"{system.name}, {variant.title}" if own else system.name, summary


def _draw_bars(axes: Axes, bars: list[tuple[str, Summary]], title: str) -> None:
    """One bar a system, the longest on top; a thin line from the least to the most."""
    bars = sorted(bars, key=lambda bar: bar[1].median)
    names = [name for name, _ in bars]
    medians = [summary.median for _, summary in bars]
    errors = [
        [summary.median - summary.low for _, summary in bars],
        [summary.high - summary.median for _, summary in bars],
    ]
    colors = [_OURS if name.startswith(NAME) else _OTHERS for name in names]
    axes.barh(names, medians, xerr=errors, color=colors, ecolor="#444444", height=0.65)
    for row, (_, summary) in enumerate(bars):
        axes.annotate(
            f"{summary.median:,.0f}",
            (summary.high, row),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
        )
    axes.set_title(title, loc="left")
    axes.set_xlim(0, 1.12 * max(summary.high for _, summary in bars))
    axes.xaxis.set_visible(False)
    axes.spines["bottom"].set_visible(False)
    axes.tick_params(axis="y", length=0)


def _draw_lines(
    axes: Axes, results: Results, lines: tuple[Measure, ...], unit: str, factor: float
) -> None:
    """One line a measure over the number of finished tasks."""
    for measure in lines:
        found = [(rows, results.of(NAME, measure.key, variant_of(rows))) for rows in FINISHED]
        points = [(rows, summary.median * factor) for rows, summary in found if summary]
        if points:
            label = measure.title.replace("`", "")
            axes.plot(*zip(*points, strict=True), marker="o", label=label)
    axes.set_xscale("log")
    axes.margins(y=0.15)
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter("{x:,g}")
    axes.set_xlabel("finished tasks in the table")
    axes.set_title(unit, loc="left")
    axes.legend(frameon=False)
