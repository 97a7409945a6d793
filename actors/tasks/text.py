"""Foreign texts and values, bounded: as they are stored, and as errors show them."""

import json
from collections.abc import Collection
from difflib import get_close_matches

MAX_ERROR_CHARS = 2_000
"""What is kept of an error's text: enough to understand it, bounded in every row."""
MAX_STDERR_CHARS = 8_192
"""What is kept of what a program wrote to standard error, the last of it."""
MAX_SHOWN_CHARS = 60
"""What an error shows of a value."""
MAX_LINE_CHARS = 200
"""What an error shows of a text that came from a server."""
NO_TEXT = "an error whose text cannot be shown"


def printable(text: str, longest: int = MAX_ERROR_CHARS) -> str:
    """Return the text as every database and JSON take it, bounded.

    A NUL is replaced. A lone surrogate, as in the name of a file that is not UTF-8, is spelt out.
    """
    text = text[:longest].replace("\x00", "\N{REPLACEMENT CHARACTER}")
    return text.encode("utf-8", "backslashreplace").decode("utf-8")[:longest]


def described(error: BaseException, otherwise: str | None = None) -> str:
    """Return the error's text; without one what is given here, else the name of its type."""
    try:
        text = printable(str(error))
    except BaseException:  # noqa: BLE001 - foreign code: `__str__` may raise anything, too
        return NO_TEXT
    return text if text.strip() else otherwise or printable(type(error).__name__)


def titled(error: BaseException) -> str:
    """Return the error's type and text, as in `ValueError: no such city`; without text the type."""
    kind, text = printable(type(error).__name__), described(error)
    return text if text == kind else printable(f"{kind}: {text}")


def counted(count: int, noun: str) -> str:
    """Return the count with its noun, in the plural unless it is one: `1 task`, `2 tasks`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def shown(value: object, max_chars: int = MAX_SHOWN_CHARS) -> str:
    """Return the value as JSON, cut where it gets long; what cannot be seen is spelt out."""
    # Not orjson, which has no numbers beyond 64 bits and no lone surrogates.
    text = json.dumps(value, default=str, ensure_ascii=False, separators=(",", ":"))
    text = cut(text, max_chars)
    return "".join(each if each.isprintable() else json.dumps(each)[1:-1] for each in text)


def cut(text: str, max_chars: int = MAX_SHOWN_CHARS) -> str:
    """Return the text, cut where it gets long."""
    return text if len(text) <= max_chars else f"{text[:max_chars]}…"


def named(name: str) -> str:
    """Return a name that a client gave, as errors begin with it: cut, and in quotes if empty."""
    return cut(name) or '""'


def unknown(what: str, name: str, known: Collection[str]) -> str:
    """Return the sentence about a name that nothing has, with the ones that there are.

    Args:
        what: What should have it, as in `action`.
        name: The name.
        known: The names that there are; if one is nearly the same, it is asked for.
    """
    alike = {each.lower(): each for each in known}
    near = get_close_matches(name.lower(), alike, 1)
    guess = f" did you mean {alike[near[0]]!r}?" if near else ""
    return f"{what} {cut(name)!r} is not known;{guess} known: {', '.join(known)}"


def one_line(text: str, max_chars: int = MAX_LINE_CHARS) -> str:
    """Return the text in one line, without control characters, cut where it gets long."""
    visible = "".join(char if char.isprintable() else " " for char in text)
    return " ".join(visible.split())[:max_chars]
