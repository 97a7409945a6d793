"""What the address of the list of tasks asks for, and what the API is asked for it. Pure."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from urllib.parse import urlencode

Query = Mapping[str, str | Sequence[str]]
"""Parameters of an address, as Falcon reads them."""

FILTERS = (
    "status",
    "queue",
    "action",
    "key",
    "unique_key",
    "error_contains",
    "error_group",
    "created_after",
    "created_before",
)
"""The filters that have names; besides them there are `data.PATH`."""
PAGE_SIZES = (25, 50, 100, 250)
DEFAULT_SIZE = 50
MAX_TRAIL = 20
"""How many pages back the way is kept in the address; beyond that there is the newest."""

_DEFAULTS = {"limit": str(DEFAULT_SIZE), "order": "newest"}
_LOCAL = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2})?")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_TRAIL = "trail"
_FIRST = "0"
"""The first page in a trail; it has no cursor."""


def canonical(query: Query) -> dict[str, str]:
    """Return the same without defaults, times with their offset, and states in one list.

    What a browser makes of a form is longer than it has to be, and cannot name a member of data.
    """
    tidy: dict[str, str] = {}
    for name, value in query.items():
        text = value if isinstance(value, str) else ",".join(filter(None, value))
        if name.startswith("created_") and _LOCAL.fullmatch(text):
            # HTML's `datetime-local` leaves the seconds out where they are 0.
            text += "Z" if text.count(":") > 1 else ":00Z"
        if name == "data" and "=" in text:
            path, _, wanted = text.partition("=")
            tidy[f"data.{path.strip().removeprefix('data.')}"] = wanted.strip()
        elif name == "error_group" or text not in {"", _DEFAULTS.get(name)}:
            tidy[name] = text  # a group is empty of errors without a text
    return tidy


def filters_of(query: Mapping[str, str]) -> dict[str, str]:
    """Return the filters alone."""
    return {name: value for name, value in query.items() if _is_filter(name)}


def asked_of(query: Mapping[str, str]) -> dict[str, str]:
    """Return what the API is asked: a misspelt filter, too, which it refuses by its name."""
    asked = {name: value for name, value in query.items() if name != _TRAIL}
    return {"limit": str(DEFAULT_SIZE), **asked}


def local(moment: str) -> str:
    """Return a moment as HTML's `datetime-local` has it, in UTC; empty: it is none."""
    try:
        if _NUMBER.fullmatch(moment):
            when = datetime.fromtimestamp(float(moment), UTC)
        else:
            when = datetime.fromisoformat(moment).astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return ""
    return when.strftime("%Y-%m-%dT%H:%M:%S")


def newest(query: Mapping[str, str]) -> str:
    """Return the query of the first page of the same list."""
    return urlencode(_without_place(query))


def next_page(query: Mapping[str, str], next_cursor: str) -> str:
    """Return the query of the page behind this one, which knows the way back."""
    trail = [*_trail(query), query.get("cursor", _FIRST)][-MAX_TRAIL:]
    return urlencode({**query, "cursor": next_cursor, _TRAIL: ".".join(trail)})


def page_before(query: Mapping[str, str]) -> str | None:
    """Return the query of the page before this one; None: there is none, or it is not known."""
    if "cursor" not in query or not (trail := _trail(query)):
        return None
    rest = _without_place(query)
    if trail[-1] != _FIRST:
        rest |= {"cursor": trail[-1], _TRAIL: ".".join(trail[:-1])}
    return urlencode(rest)


def _is_filter(name: str) -> bool:
    return name in FILTERS or name.startswith("data.")


def _without_place(query: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in query.items() if name not in {"cursor", _TRAIL}}


def _trail(query: Mapping[str, str]) -> list[str]:
    return [each for each in query.get(_TRAIL, "").split(".") if each]
