"""What a thread is doing."""

import sys
import traceback

MAX_STACK_FRAMES = 20
"""How many frames are shown, the innermost ones."""


def stack_of(thread_id: int) -> str:
    """Return the stack of a thread, as text; empty if the thread has ended."""
    frame = sys._current_frames().get(thread_id)  # noqa: SLF001 - documented, for such a use
    if frame is None:
        return ""
    return "".join(traceback.format_stack(frame)[-MAX_STACK_FRAMES:])
