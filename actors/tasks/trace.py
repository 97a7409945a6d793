"""The trace that a task belongs to (W3C Trace Context), read from what its publisher says. Pure."""

import re
from typing import NamedTuple

MAX_STATE_CHARS = 512
"""How much of a `tracestate` is kept: what section 3.3.1.5 asks everybody to pass on at least."""
MAX_STATE_MEMBERS = 32
"""How many members it may have (section 3.3.1.1)."""
MAX_KEPT_MEMBER_CHARS = 128
"""Members longer than this go first, where it is too long (section 3.3.1.5)."""

_PARENT = re.compile(
    "(?P<version>[0-9a-f]{2})-(?P<trace>[0-9a-f]{32})-(?P<parent>[0-9a-f]{16})"
    "-(?P<flags>[0-9a-f]{2})(?P<rest>-.*)?",
    re.DOTALL,
)
_INVALID_VERSION = "ff"
_SAMPLED = 1
"""The only flag that a version to come is known to have."""
_KEY = "[a-z][a-z0-9_*/-]{0,255}|[a-z0-9][a-z0-9_*/-]{0,240}@[a-z][a-z0-9_*/-]{0,13}"
_MEMBER = re.compile(f"(?P<key>{_KEY})=[ -+\\--<>-~]{{0,255}}[!-+\\--<>-~]")


class Trace(NamedTuple):
    """A place in a trace, which whoever goes on from there passes on or replaces.

    Attributes:
        traceparent: Of version 00.
        tracestate: What goes with it; None: nothing.
    """

    traceparent: str
    tracestate: str | None = None


def trace_of(traceparent: object, tracestate: object = None) -> Trace | None:
    """Return the trace of these two; None: there is none, or the first cannot be read.

    What is wrong is ignored, as the specification asks: a request is never refused for its trace.

    Args:
        traceparent: As in the header; anything but a text is wrong.
        tracestate: As in the header, several joined by commas.
    """
    if not isinstance(traceparent, str) or (parent := _parent(traceparent.strip(" \t"))) is None:
        return None
    return Trace(parent, _state(tracestate) if isinstance(tracestate, str) else None)


def trace_id_of(traceparent: str) -> str:
    """Return the id of the trace that a `traceparent` of version 00 names."""
    return traceparent[3:35]


def span_id_of(traceparent: str) -> str:
    """Return the id of the span that a `traceparent` of version 00 names."""
    return traceparent[36:52]


def _parent(text: str) -> str | None:
    found = _PARENT.fullmatch(text)
    if found is None or found["version"] == _INVALID_VERSION:
        return None
    if not int(found["trace"], 16) or not int(found["parent"], 16):
        return None
    flags = found["flags"]
    if found["version"] == "00":
        if found["rest"] is not None:
            return None
    else:  # of a later version what is known of this one is passed on (section 4.3)
        flags = f"{int(flags, 16) & _SAMPLED:02x}"
    return f"00-{found['trace']}-{found['parent']}-{flags}"


def _state(text: str) -> str | None:
    """Return the members that are kept, joined by commas; None: there is none, or one is wrong."""
    members = [member for part in text.split(",") if (member := part.strip(" \t"))]
    found = [_MEMBER.fullmatch(member) for member in members]
    keys = {each["key"] for each in found if each is not None}
    if None in found or len(keys) < len(members) or len(members) > MAX_STATE_MEMBERS:
        return None
    if len(",".join(members)) > MAX_STATE_CHARS:
        members = [member for member in members if len(member) <= MAX_KEPT_MEMBER_CHARS]
    while len(",".join(members)) > MAX_STATE_CHARS:
        members.pop()
    return ",".join(members) or None
