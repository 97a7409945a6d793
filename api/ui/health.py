"""How the service is, in words, with a link to where each trouble is mended."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

_QUEUE = re.compile(r"\bqueue[ -]([A-Za-z0-9_](?:[A-Za-z0-9_.:-]*[A-Za-z0-9_-])?)")
_REQUEST = re.compile(r": (?:POST|GET) /[^;]*$")
"""What to send, at the end of a sentence: here there is a link instead."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that somebody has to look after.

    Attributes:
        words: What is wrong.
        path: Where to mend it; None: not here.
        place: What the link says.
        changes: Whether the link leads to a question, whose answer mends it.
    """

    words: str
    path: str | None = None
    place: str | None = None
    changes: bool = False


@dataclass(frozen=True, slots=True)
class Health:
    """How the service is.

    Attributes:
        problems: Why it is not ready; none: it is.
        warnings: What will be wrong if nobody looks after it.
    """

    problems: list[Trouble]
    warnings: list[Trouble]


def health(
    readiness: Mapping[str, Any], queues: Iterable[str], *, may_operate: bool = True
) -> Health:
    """Return how the service is.

    Args:
        readiness: As `GET /readyz` answers.
        queues: The names of the queues that have a page for whoever asks.
        may_operate: Whether whoever asks may change anything.
    """
    known = set(queues)
    return Health(
        [_trouble(words, known, may_operate=may_operate) for words in readiness["problems"]],
        [_trouble(words, known, may_operate=may_operate) for words in readiness["warnings"]],
    )


def _trouble(words: str, queues: set[str], *, may_operate: bool) -> Trouble:
    sentence = _REQUEST.sub(".", f"{words[:1].upper()}{words[1:]}")
    named = _QUEUE.search(words)
    queue = named[1] if named else None
    if queue is not None and "dead letter" in words:
        return Trouble(sentence, f"/ui/dead-letters?queue={queue}", "Of what they died")
    if queue is not None and "which no node has" in words:
        return Trouble(sentence, f"/ui/tasks?queue={queue}", "Its tasks")
    if "external action" in words or words.startswith("the node "):
        return Trouble(sentence, "/ui/nodes", "Nodes and workers")
    if queue in queues and "is paused" in words and may_operate:
        return Trouble(sentence, f"/ui/queues/{queue}/resume", "Resume it", changes=True)
    if queue in queues:
        return Trouble(sentence, f"/ui/queues/{queue}", f"Queue {queue}")
    return Trouble(sentence)
