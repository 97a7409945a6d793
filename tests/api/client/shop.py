"""Functions that a web application and its workers share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict

from task_queue.client import task

if TYPE_CHECKING:
    from pathlib import Path

    from task_queue import Context


class Size(TypedDict):
    width: int
    height: int


@dataclass
class Picture:
    path: str
    labels: tuple[str, ...] = ()


@task(priority=5)
def crop(picture: Picture, size: Size, *, zoom: float = 1.0) -> dict[str, float | str]:
    """Cut a picture.

    So that it fits.
    """
    assert isinstance(picture, Picture)
    return {"path": picture.path, "width": size["width"] * zoom}


@task("greet", context=True)
async def greet(context: Context, name: str) -> str:
    """Greet somebody."""
    context.progress(0.5, name)
    return f"hello {name}, attempt {context.attempt}"


@task
def whole(data: Picture) -> str:
    """Take all of the data."""
    return f"{data.path} {' '.join(data.labels)}"


@task
def of_unknown(place: Path) -> None:
    """Name a type that is not there."""
