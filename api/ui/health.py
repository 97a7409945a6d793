"""How the service is, in words, with a link to where each trouble is mended."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

_QUEUE = re.compile(r"\bqueue[ -]([A-Za-z0-9_][A-Za-z0-9_.:-]*)")
_PLACES = (
    ("dead letter", "/ui/dead-letters", "Dead letters"),
    ("node", "/ui/nodes", "Nodes"),
    ("worker", "/ui/nodes", "Nodes"),
    ("schedule", "/ui/schedules", "Schedules"),
)


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that somebody has to look after.

    Attributes:
        words: What is wrong.
        path: Where to mend it; None: not here.
        place: What that page is called.
    """

    words: str
    path: str | None = None
    place: str | None = None


@dataclass(frozen=True, slots=True)
class Health:
    """How the service is.

    Attributes:
        problems: Why it is not ready; none: it is.
        warnings: What will be wrong if nobody looks after it.
    """

    problems: list[Trouble]
    warnings: list[Trouble]


def health(readiness: Mapping[str, Any], queues: Iterable[str]) -> Health:
    """Return how the service is.

    Args:
        readiness: As `GET /readyz` answers.
        queues: The names of the queues that have a page for whoever asks.
    """
    known = set(queues)
    return Health(
        [_trouble(words, known) for words in readiness["problems"]],
        [_trouble(words, known) for words in readiness["warnings"]],
    )


def _trouble(words: str, queues: set[str]) -> Trouble:
    sentence = f"{words[:1].upper()}{words[1:]}"
    named = [name.rstrip(".,:") for name in _QUEUE.findall(words)]
    dead = "dead letter" in words
    for name in named:
        if name in queues and not dead:
            return Trouble(sentence, f"/ui/queues/{name}", f"Queue {name}")
    for word, path, place in _PLACES:
        if word in words:
            return Trouble(sentence, path, place)
    return Trouble(sentence)
