"""The names of actions, queues and schedules: one rule, in settings and over HTTP.

What has such a name is asked for by a URL that ends in it. So a name has only characters that stand
in a URL's path as they are (RFC 3986, section 3.3), no `/`, and is neither `.` nor `..`, which
clients take for folders.
"""

import re
from typing import Annotated

from pydantic import AfterValidator, Field

MAX_NAME_CHARS = 200
NAME_RULE = (
    f"must have 1 to {MAX_NAME_CHARS} characters of A-Z a-z 0-9 _ . : -,"
    " beginning with a letter, a digit or _"
)
"""The rule as errors say it, after the member's name."""

NAME_PATTERN = f"[A-Za-z0-9_][A-Za-z0-9_.:-]{{0,{MAX_NAME_CHARS - 1}}}"
"""The rule as a regular expression of the whole name."""

_NAME = re.compile(NAME_PATTERN)


def is_name(text: str) -> bool:
    """Return whether an action, a queue or a schedule may be called this."""
    return _NAME.fullmatch(text) is not None


def _checked(text: str) -> str:
    if not is_name(text):
        raise ValueError(NAME_RULE)
    return text


Name = Annotated[
    str,
    Field(min_length=1, json_schema_extra={"pattern": f"^{NAME_PATTERN}$"}),
    AfterValidator(_checked),
]
"""A name in a model of pydantic's."""


URL_PREFIX_RULE = (
    "a path as /queue, of A-Z a-z 0-9 - . _ ~ and single slashes, without one at its end"
)
"""What a prefix of all URLs must be; empty is none."""

_URL_PREFIX = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~-]+)*")


def is_url_prefix(text: str) -> bool:
    """Return whether all URLs may begin with this: what stands in a path as it is."""
    return _URL_PREFIX.fullmatch(text) is not None


def one_line(text: str) -> str:
    """Return the text, if it has no blanks at its ends and no control characters.

    A file of variables or a secret often ends with a line that would become part of a path.
    """
    if text != text.strip() or re.search(r"[\x00-\x1f\x7f]", text):
        raise ValueError("must have no blanks and line ends at its ends, nor control characters")
    return text
