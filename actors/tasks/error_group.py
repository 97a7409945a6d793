"""Which errors are the same: apart from ids and numbers. Pure."""

import re

READ_CHARS = 500
"""How much of an error is looked at."""
MAX_CHARS = 200
"""How long a group is at most: an index has it."""

_UUID = re.compile("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_WORD = re.compile(r"\w+")
_DIGIT = re.compile(r"\d")
_RUN = re.compile(r"#([.,:+/-]*#)+")


def error_group(error: str | None) -> str:
    """Return the error without ids and numbers, in one line: what it has in common with others.

    UUIDs and words with a digit in them become `#`, and so do several of them in a row with signs
    between, as in a date. Migration 0008 has the same rule; one that changes it has to group all
    dead tasks anew.
    """
    text = _UUID.sub("#", (error or "")[:READ_CHARS])
    text = _WORD.sub(lambda word: "#" if _DIGIT.search(word[0]) else word[0], text)
    text = _RUN.sub("#", text)
    visible = "".join(char if char.isprintable() else " " for char in text)
    return " ".join(visible.split())[:MAX_CHARS].rstrip()
