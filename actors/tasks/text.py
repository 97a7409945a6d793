"""What is kept of foreign texts."""

# What is made and looked up for each task is a named tuple: a frozen dataclass takes
# three times as long to make, and its hash, which is computed in Python, four times.
MAX_ERROR_CHARS = 2_000
"""What is kept of an error's text: enough to understand it, bounded in every row."""
MAX_STDERR_CHARS = 8_192
"""What is kept of what a program wrote to standard error, the last of it."""


def printable(text: str, longest: int = MAX_ERROR_CHARS) -> str:
    """The text as every database takes it: no NUL, no lone surrogate, bounded."""
    text = text[:longest].replace("\x00", "\N{REPLACEMENT CHARACTER}")
    return text.encode("utf-8", "replace").decode("utf-8")
