"""Runs a flow step by step, by a clock of its own."""

import json
from collections.abc import Sequence
from typing import TypeVar

from task_queue.api.client.flow import Flow, Patience, Pause, Send
from task_queue.api.client.request import Answer, NoAnswer

R = TypeVar("R")

LOST = NoAnswer(why="the connection was lost", was_sent=True)
NOT_REACHED = NoAnswer(why="nobody listens", was_sent=False)


def answer(status: int, document: object = None, **headers: str) -> Answer:
    """An answer; an underscore in a header's name stands for a hyphen."""
    content = b"" if document is None else json.dumps(document).encode()
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Answer(status=status, headers=named, content=content)


def problem(status: int, kind: str, detail: str = "it is so", **headers: str) -> Answer:
    """An answer that is an error of the service."""
    document = {"type": f"/docs#{kind}", "error": "short", "detail": detail}
    return answer(status, document, **headers)


class Played:
    """What a flow did with answers that were given to it.

    Attributes:
        now: The present moment: a send takes a second, unless it waits; a pause as long as it is.
        sent: What it sent.
        pauses: How long it paused.
    """

    def __init__(self, chance: float = 1.0, seconds: float = 1.0, **limits: float) -> None:
        self.now = 0.0
        self.sent: list[Send] = []
        self.pauses: list[float] = []
        self._seconds = seconds
        self.patience = Patience(now=lambda: self.now, random=lambda: chance, **limits)

    def run(self, flow: Flow[R], answers: Sequence[Answer | NoAnswer]) -> R:
        """The result; the last answer is given again and again."""
        rest = list(answers)
        came: Answer | NoAnswer | None = None
        while True:
            try:
                step = flow.send(came)
            except StopIteration as end:
                result: R = end.value
                return result
            if isinstance(step, Pause):
                self.pauses.append(step.seconds)
                self.now += step.seconds
                came = None
            else:
                self.sent.append(step)
                came = rest.pop(0) if len(rest) > 1 else rest[0]
                waited = step.request.wait_seconds if isinstance(came, Answer) else 0
                self.now += waited or self._seconds
