"""An action in a package whose name is one of the folders of the task queue."""

from typing import Any

from task_queue import Reject


def hello(data: dict[str, Any]) -> dict[str, Any]:
    """Greets."""
    if "who" not in data:
        raise Reject("nobody to greet")
    return {"hi": data["who"]}
