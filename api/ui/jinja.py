"""What renders the templates. Imported when the first page is asked for: Jinja takes its time."""

from collections.abc import Callable
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined

from task_queue.api.ui.render import ago, clock, counted, duration, number, pretty


def environment(now: Callable[[], float]) -> Environment:
    """Return what renders the templates.

    Args:
        now: The present moment, Unix seconds.
    """
    made = Environment(
        loader=PackageLoader("task_queue.api.ui", "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    made.filters |= {
        "ago": lambda moment: ago(moment, now()),
        "duration": duration,
        "number": number,
        "pretty": pretty,
        "query": lambda members: urlencode({k: v for k, v in members.items() if v}, doseq=True),
        "counted": counted,
        "clock": clock,
    }
    return made
