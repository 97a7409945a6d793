"""When a schedule fires: a cron line read in a time zone, and what was missed. Pure.

A line has the five fields of Debian's cron, minute, hour, day-of-month, month and day-of-week.
Unless the schedule says otherwise, a change of the clock is taken as in Debian's cron (man 8 cron):

- If neither minute nor hour begins with a star, the line names times of the day. One that the clock
  jumps over fires right after the jump, and one that it shows twice fires the first time.
- Otherwise it follows the clock: it fires whenever a clock on the wall shows a time that matches,
  so not in the hour that is skipped, and in both passes of the hour that is repeated.

`actors.tasks.cron` says which lines there are. cronsim finds the matching times of a clock that
never changes. The changes are added here: a half-hour one, as Lord Howe Island has, makes cronsim's
own answer depend on where it started from.
"""

import math
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cache
from itertools import takewhile
from typing import Protocol
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

from task_queue.actors.errors import TaskQueueError
from task_queue.actors.tasks import cron as lines

GRACE_SECONDS = 60.0
"""How late an occurrence may be published and still count as on time."""

_HORIZON = timedelta(days=50 * 366)
"""A line that does not fire for so long never fires: the rarest date, a certain weekday on the 29th
of February, comes at least every 40 years."""

_SOME_MOMENT = datetime(2030, 1, 1, tzinfo=UTC).timestamp()
"""Where `check` starts from; whether a line ever fires does not depend on it."""

_LAST_MOMENT = datetime(9900, 1, 1, tzinfo=UTC).timestamp()
"""The calendar of `datetime` ends with the year 9999, and a search needs room."""


class InvalidRecurrenceError(TaskQueueError):
    """A recurrence that cannot be used; the text names the member, its value and the rule.

    Attributes:
        member: The wrong member, `cron`, `timezone` or `every`.
    """

    def __init__(self, member: str, sentence: str) -> None:
        super().__init__(sentence)
        self.member = member


class Missed(StrEnum):
    """What becomes of occurrences that passed while no node could publish them."""

    SKIP = "skip"
    """They are dropped: the schedule goes on with the next one that is on time."""

    ONCE = "once"
    """The last of them is published, as soon as possible, for all of them."""


class ClockForward(StrEnum):
    """What becomes of times that the clock jumps over when it is put forward."""

    RUN = "run"
    """They come right after the jump, several as one."""

    SKIP = "skip"
    """They do not come on that day."""


class ClockBack(StrEnum):
    """How often a time comes that the clock shows twice, because it was put back."""

    ONCE = "once"
    """The first time only."""

    TWICE = "twice"
    """Both times."""


class Times(Protocol):
    """The times of a schedule: a `Recurrence` or an `Interval`."""

    @property
    def comes_again(self) -> bool:
        """Whether a time comes again when the clock shows it again."""

    def after(self, moment: float) -> float:
        """Return the first occurrence later than the moment; both are Unix seconds."""

    def passed(self, next_at: float, now: float) -> tuple[float, float]:
        """Return the last occurrence until now, and the one after it."""


@dataclass(frozen=True, slots=True)
class Recurrence:
    """The times at which a schedule with a cron line fires.

    Attributes:
        cron: Five fields, as in `*/5 * * * *`, or a name, as in `@daily`.
        timezone: The time zone of these fields, an IANA name such as `Europe/Berlin`.
        clock_forward: What becomes of times that the clock jumps over; None: see `forward`.
        clock_back: How often times come that the clock shows twice; None: see `back`.
    """

    cron: str
    timezone: str
    clock_forward: ClockForward | None = None
    clock_back: ClockBack | None = None

    @property
    def forward(self) -> ClockForward:
        """What becomes of times that the clock jumps over."""
        plain = ClockForward.SKIP if self._follows_the_clock() else ClockForward.RUN
        return self.clock_forward or plain

    @property
    def back(self) -> ClockBack:
        """How often times come that the clock shows twice."""
        return self.clock_back or (ClockBack.TWICE if self._follows_the_clock() else ClockBack.ONCE)

    @property
    def comes_again(self) -> bool:
        """Whether a time comes again when the clock shows it again."""
        return self.back is ClockBack.TWICE

    def check(self) -> None:
        """Accept a recurrence that can be used.

        Raises:
            InvalidRecurrenceError: The line does not parse or never fires, or there is no such
                zone.
        """
        try:
            lines.check(self.cron)
        except lines.InvalidCronError as error:
            raise InvalidRecurrenceError("cron", str(error)) from None
        zone_of(self.timezone)
        self.after(_SOME_MOMENT)

    def after(self, moment: float) -> float:
        """Return the first occurrence later than the moment; both are Unix seconds.

        The recurrence must have passed `check`. The answer depends on nothing but the moment, so
        every node computes the same times, also after a restart.

        Raises:
            InvalidRecurrenceError: There is none within 50 years, the moment is not between the
                years 1970 and 9900, or the zone is no longer known.
        """
        if not 0 <= moment <= _LAST_MOMENT:
            sentence = f"cron can be followed from the year 1970 to 9900, not from second {moment}"
            raise InvalidRecurrenceError("cron", sentence)
        second = math.floor(moment)
        wall = datetime.fromtimestamp(second, zone_of(self.timezone))
        # More than zero while the clock shows a time that it shows twice.
        repeated = wall.replace(fold=1).timestamp() - wall.replace(fold=0).timestamp()
        if repeated and self.comes_again:
            # Still to come are the rest of this pass and, if it is the first, all of the second,
            # which began earlier on the clock.
            wall -= timedelta(seconds=repeated)
            passes = [self._instants(wall, fold) for fold in (0, 1)]
        else:
            passes = [self._instants(wall, 0)]
        later = [next((at for at in instants if at > second), math.inf) for instants in passes]
        if (first := min(later)) == math.inf:
            raise InvalidRecurrenceError("cron", _never_fires(self.cron))
        return first

    def passed(self, next_at: float, now: float) -> tuple[float, float]:
        """Return the last occurrence until now, and the one after it.

        Args:
            next_at: An occurrence, Unix seconds; not later than now.
            now: The present moment, Unix seconds.

        Raises:
            InvalidRecurrenceError: See `after`.
        """
        if (following := self.after(next_at)) > now:
            return next_at, following
        # The last one is the first second after which no other comes until now. Bisection finds it
        # in some thirty steps, whether a minute was missed or ten years.
        seconds = range(int(following), math.floor(now) + 1)
        passed = bisect_left(seconds, x=True, key=lambda second: self.after(second) > now)
        return float(seconds[passed]), self.after(now)

    def _instants(self, wall: datetime, fold: int) -> Iterator[float]:
        """Yield the occurrences later on the clock than the given time, as Unix seconds.

        Args:
            wall: A time in the zone.
            fold: Where the clock shows a time twice, which one is meant: 0 the first.
        """
        start = wall.replace(tzinfo=None)
        try:
            matches = CronSim(" ".join(lines.fields(self.cron)), start)
        except CronSimError:  # cronsim found at once that no month has such a day
            return
        skips = self.forward is ClockForward.SKIP
        for match in takewhile(lambda match: match < start + _HORIZON, matches):
            time = match.replace(tzinfo=wall.tzinfo, fold=fold)
            instant = time.timestamp()
            if datetime.fromtimestamp(instant, wall.tzinfo).replace(tzinfo=None) == match:
                yield instant
            elif not skips:
                yield _end_of_jump(time)

    def _follows_the_clock(self) -> bool:
        return any(field.startswith("*") for field in lines.fields(self.cron)[:2])


def upcoming(times: Times, moment: float, count: int) -> list[float]:
    """Return the given number of occurrences later than the moment, in order."""
    moments = []
    for _ in range(count):
        moment = times.after(moment)
        moments.append(moment)
    return moments


def due(
    times: Times, next_at: float, now: float, missed: Missed, expires_after: float | None = None
) -> tuple[float | None, float]:
    """Return the occurrence to publish now, or None, and the next one after now.

    Of all occurrences that have passed, only the last one may be published: after a day without a
    node nobody wants 1,440 tasks at once.

    Args:
        times: They must have passed their `check`.
        next_at: The occurrence that was next, Unix seconds; not later than now.
        now: The present moment, Unix seconds.
        missed: Whether an occurrence older than `GRACE_SECONDS` is published.
        expires_after: Seconds after which a task of an occurrence is not started any more: then it
            is not published either.

    Raises:
        InvalidRecurrenceError: See `Recurrence.after`.
    """
    last, next_at = times.passed(next_at, now)
    fires = missed is Missed.ONCE or now - last <= GRACE_SECONDS
    if expires_after is not None and now - last >= expires_after:
        fires = False
    return (last if fires else None), next_at


def _never_fires(cron: str) -> str:
    day, month, weekday = (lines.shown(field) for field in lines.fields(cron)[2:])
    return (
        f"cron must fire within 50 years, and {lines.shown(cron)} does not:"
        f" look at its day-of-month {day}, month {month} and day-of-week {weekday}"
    )


def zone_of(timezone: str) -> ZoneInfo:
    """Return the zone of that name; a name that is not in the list never becomes a file's path.

    Raises:
        InvalidRecurrenceError: There is none.
    """
    if timezone not in _names_of_zones():
        sentence = (
            "timezone must be a name of the IANA time zone database, such as Europe/Berlin or UTC,"
            f" not {lines.shown(timezone)}"
        )
        raise InvalidRecurrenceError("timezone", sentence)
    return ZoneInfo(timezone)


@cache
def _names_of_zones() -> frozenset[str]:
    """Return all names except the one that means something else on every machine."""
    return frozenset(available_timezones()) - {"localtime"}


def _end_of_jump(time: datetime) -> float:
    """Return the moment at which the clock jumped forward over the given time.

    With the offset from before the jump, that time is not earlier than the jump; with the offset
    from after it, it is earlier. Bisection between the two finds where the offset changes.
    """
    early, late = int(time.replace(fold=1).timestamp()), int(time.replace(fold=0).timestamp())

    def is_after(second: int) -> bool:
        return datetime.fromtimestamp(second, time.tzinfo).utcoffset() != time.utcoffset()

    return float(early + bisect_left(range(early, late), x=True, key=is_after))
