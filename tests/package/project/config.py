"""An action in a module whose name is one of the folders of the task queue."""

from typing import Any


def hello(data: dict[str, Any]) -> dict[str, Any]:
    """Greets."""
    return {"hi": data["who"]}
