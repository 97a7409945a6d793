"""Smaller copies of the pictures in the folder `pictures`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from PIL import Image, UnidentifiedImageError
from pydantic import Field
from task_queue import Context, Reject

PICTURES = Path("pictures")
THUMBNAILS = Path("thumbnails")

Name = Annotated[str, Field(pattern=r"^\w[\w-]*\.\w+$")]
"""The name of a file, without a folder: nobody reaches `../../etc/passwd`."""
Width = Annotated[int, Field(ge=16, le=2048)]


@dataclass
class Order:
    """The data of a task. What does not fit is refused when it is published."""

    picture: Name
    widths: list[Width]


def make_thumbnails(order: Order, task: Context) -> list[str]:
    """Save a copy of a picture in each of the widths."""
    picture = load(PICTURES / order.picture)
    THUMBNAILS.mkdir(exist_ok=True)
    saved = []
    for number, width in enumerate(order.widths):
        task.progress(number / len(order.widths), f"{width} pixels", stop_if_cancelled=True)
        small = picture.copy()
        small.thumbnail((width, picture.height))
        # The same name each time, so a task that runs twice does no harm.
        path = THUMBNAILS / f"{Path(order.picture).stem}-{width}.jpg"
        small.save(path)
        saved.append(str(path))
    task.progress(1)
    return saved


def load(path: Path) -> Image.Image:
    """Return the picture in a file.

    Raises:
        Reject: It holds none. Another attempt would not help, so the task is dead at once.
        OSError: It ends too early. It may still be being written, so the task is tried again.
    """
    try:
        with Image.open(path) as picture:
            return picture.convert("RGB")
    except FileNotFoundError:
        raise Reject(f"there is no {path}") from None
    except (UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise Reject(str(error)) from error
