"""What `doctor` finds: one line for each thing that it has looked at."""

from dataclasses import dataclass
from typing import Literal

MOST_APART_SECONDS = 2.0
"""How far clocks may be apart: a schedule comes that much too early or late."""
FAR_APART_SECONDS = 30.0
"""From here on leases end too early for the machine that holds them: they take 30 seconds."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found about one thing.

    Attributes:
        what: What was looked at, in a word.
        state: `ok`; `warn`: it works, and will not for long, or not as one may think; `fail`.
        text: What was found.
        remedy: What to do about it; empty: nothing.
    """

    what: str
    state: Literal["ok", "warn", "fail"]
    text: str
    remedy: str = ""


def ok(what: str, text: str) -> Finding:
    """Return that all is well."""
    return Finding(what, "ok", text)


def warn(what: str, text: str, remedy: str) -> Finding:
    """Return what should be looked after."""
    return Finding(what, "warn", text, remedy)


def fail(what: str, text: str, remedy: str = "") -> Finding:
    """Return what is wrong."""
    return Finding(what, "fail", text, remedy)


def of_clocks(what: str, whose: str, apart_seconds: float) -> Finding:
    """Return what it means that a clock is so far from this machine's.

    Args:
        what: As of a finding.
        whose: The clock, as in "the server's".
        apart_seconds: How far it is ahead.
    """
    direction = "ahead of" if apart_seconds > 0 else "behind"
    text = f"{whose} clock is {abs(apart_seconds):.1f} s {direction} this machine's"
    remedy = "set both by NTP: schedules, delays and leases go by them"
    if abs(apart_seconds) <= MOST_APART_SECONDS:
        return ok(what, f"{whose} clock and this machine's agree")
    if abs(apart_seconds) <= FAR_APART_SECONDS:
        return warn(what, text, remedy)
    return fail(what, text, remedy)
