"""What somebody writes into the search box, understood. Pure."""

import re
import shlex

from task_queue.api.requests.validation import canonical_id

NAMES = {
    "error": "error_contains",
    "error_contains": "error_contains",
    "error_group": "error_group",
    "status": "status",
    "state": "status",
    "queue": "queue",
    "action": "action",
    "key": "key",
    "unique_key": "unique_key",
    "created_after": "created_after",
    "created_before": "created_before",
}
"""The words before `=`, and the parameter of the API that each stands for."""
PLAIN = ("unique_key", "key", "action", "queue")
"""What a bare word may be the value of; the first that there is a task of. Else it is of errors."""

_PAIR = re.compile(r"(data\.[^=\s]+|[a-z_]+)[=:](.*)", re.DOTALL)


def id_in(text: str) -> str | None:
    """Return the id of the task that is looked for, if an id is all that was written."""
    return canonical_id(text.strip())


def filters_in(text: str) -> dict[str, str]:
    """Return the filters that were written as `name=value`, with blanks between them.

    Values with blanks stand in quotes. Empty: the text is no list of such, but a plain text.
    """
    try:
        words = shlex.split(text)
    except ValueError:  # a quote that does not end
        return {}
    filters: dict[str, str] = {}
    for word in words:
        pair = _PAIR.fullmatch(word)
        if pair is None:
            return {}
        name = pair[1] if pair[1].startswith("data.") else NAMES.get(pair[1])
        if name is None:
            return {}
        filters[name] = pair[2]
    return filters
