"""Figures as people read them."""

from tests.benchmarks.results import Summary
from tests.benchmarks.system import Unit

NOTHING = "—"


def shown(value: float, unit: Unit) -> str:
    """The value with its unit and no more digits than mean something."""
    match unit:
        case Unit.SECONDS if value < 0.001:
            return f"{value * 1e6:.0f} µs"
        case Unit.SECONDS if value < 1:
            return f"{_three_digits(value * 1e3)} ms"
        case Unit.PER_SECOND:
            return f"{value:,.0f}/s"
        case Unit.RATIO:
            return f"{value:.2f}"
        case Unit.PERCENT:
            return f"{value:.1f} %"
        case _:
            return f"{_three_digits(value)} {unit.value}"


def summarized(summary: Summary | None, unit: Unit) -> str:
    """The median, and the least and the most where they differ from it."""
    if summary is None:
        return NOTHING
    middle, low, high = (
        shown(value, unit) for value in (summary.median, summary.low, summary.high)
    )
    if low == middle == high:
        return middle
    ending = middle.lstrip("0123456789.,")
    if low.endswith(ending) and high.endswith(ending):
        low, high = low.removesuffix(ending), high.removesuffix(ending)
    return f"{middle} ({low} to {high})"


def _three_digits(value: float) -> str:
    digits = 2 if value < 10 else 1 if value < 100 else 0
    return f"{value:,.{digits}f}"
