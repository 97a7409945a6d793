"""Foreign texts and values, bounded: as they are stored, and as errors show them."""

import json

MAX_ERROR_CHARS = 2_000
"""What is kept of an error's text: enough to understand it, bounded in every row."""
MAX_STDERR_CHARS = 8_192
"""What is kept of what a program wrote to standard error, the last of it."""
MAX_SHOWN_CHARS = 60
"""What an error shows of a value."""
MAX_LINE_CHARS = 200
"""What an error shows of a text that came from a server."""


def printable(text: str, longest: int = MAX_ERROR_CHARS) -> str:
    """Return the text as every database takes it: no NUL, no lone surrogate, bounded."""
    text = text[:longest].replace("\x00", "\N{REPLACEMENT CHARACTER}")
    return text.encode("utf-8", "replace").decode("utf-8")


def shown(value: object, max_chars: int = MAX_SHOWN_CHARS) -> str:
    """Return the value as JSON, cut where it gets long."""
    # Not orjson, which has no numbers beyond 64 bits and no lone surrogates.
    text = json.dumps(value, default=str, ensure_ascii=False, separators=(",", ":"))
    return cut(text, max_chars)


def cut(text: str, max_chars: int = MAX_SHOWN_CHARS) -> str:
    """Return the text, cut where it gets long."""
    return text if len(text) <= max_chars else f"{text[:max_chars]}…"


def one_line(text: str, max_chars: int = MAX_LINE_CHARS) -> str:
    """Return the text in one line, without control characters, cut where it gets long."""
    visible = "".join(char if char.isprintable() else " " for char in text)
    return " ".join(visible.split())[:max_chars]
