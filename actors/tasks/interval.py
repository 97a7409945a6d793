"""When a schedule with `every` fires: at one distance, whatever a clock shows. Pure."""

import math
import re
from dataclasses import dataclass

from task_queue.actors.tasks.cron import shown
from task_queue.actors.tasks.recurrence import InvalidRecurrenceError, zone_of

MAX_EVERY_CHARS = 40
"""The longest text of an interval."""
MAX_EVERY_SECONDS = 366 * 86_400
"""The longest interval: a leap year."""

_UNIT_SECONDS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_EVERY = re.compile("".join(f"(?:([0-9]{{1,9}}){unit})?" for unit in _UNIT_SECONDS))


@dataclass(frozen=True, slots=True)
class Interval:
    """Times at one distance from each other.

    Each is counted from the one before it, which the schedule's row holds, and the first one from
    the moment at which the schedule was made. So nothing drifts, and restarts change nothing.

    Attributes:
        every: The distance, as in `90m` or `1h30m`.
        timezone: The time zone on whose clock the times are shown, an IANA name.
    """

    every: str
    timezone: str

    def check(self) -> None:
        """Accept an interval that can be used.

        Raises:
            InvalidRecurrenceError: It is none, too long or too short, or there is no such zone.
        """
        if not 1 <= self.seconds <= MAX_EVERY_SECONDS:
            sentence = (
                "every must be a time from 1s to 366d in whole d, h, m and s, such as 90m or 1h30m,"
                f" not {shown(self.every)}"
            )
            raise InvalidRecurrenceError("every", sentence)
        zone_of(self.timezone)

    @property
    def seconds(self) -> int:
        """The distance in seconds; 0 if the text is no interval."""
        match = _EVERY.fullmatch(self.every)
        if match is None:
            return 0
        numbers = zip(match.groups(default="0"), _UNIT_SECONDS.values(), strict=True)
        return sum(int(number) * seconds for number, seconds in numbers)

    @property
    def comes_again(self) -> bool:
        """Whether a time comes again when the clock shows it again: always, as it means none."""
        return True

    def after(self, moment: float) -> float:
        """Return the occurrence after the one at this moment; both are Unix seconds."""
        return float(math.floor(moment) + self.seconds)

    def passed(self, next_at: float, now: float) -> tuple[float, float]:
        """Return the last occurrence until now, and the one after it.

        Args:
            next_at: An occurrence, Unix seconds; not later than now.
            now: The present moment, Unix seconds.
        """
        last = next_at + (now - next_at) // self.seconds * self.seconds
        return last, last + self.seconds
