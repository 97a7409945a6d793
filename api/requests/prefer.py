"""`Prefer: wait=N` (RFC 7240): how long a client would like an answer to wait for its result.

A preference is a wish. Whatever cannot be met is ignored, as section 2 of the RFC demands, and an
answer says what was met by `Preference-Applied`. So a wait that is no whole number of seconds has
no effect, and one that is too long waits for as long as it may.
"""

import re

import falcon

ENVIRON_KEY = "HTTP_PREFER"
"""Where the header stands in a request's environment; several of them are one list there."""

_WAIT = "wait"
_MAX_DIGITS = 18
# Neither can go back and try anew, so each takes time in proportion to the header's length. A
# quoted string that does not end goes on until the end.
_PREFERENCES = re.compile(r'(?:[^",]|"(?:[^"\\]|\\.)*"?)+')
_PARAMETERS = re.compile(r'(?:[^";]|"(?:[^"\\]|\\.)*"?)+')
_ESCAPED = re.compile(r"\\(.)")


def wait_seconds(req: falcon.Request, max_seconds: int) -> int | None:
    """Return how many whole seconds the answer is to wait at most; None: not at all.

    Args:
        req: The request.
        max_seconds: Whoever would wait longer waits so long.
    """
    header = req.env.get(ENVIRON_KEY)
    if header is None:
        return None
    return min(_asked_for(header), max_seconds) or None


def applied(seconds: int) -> tuple[str, str]:
    """Return the header that says how long the answer might have waited."""
    return "Preference-Applied", f"{_WAIT}={seconds}"


def _asked_for(header: str) -> int:
    """Return the seconds of the first `wait`, which is the one that counts; 0: none."""
    for preference in _PREFERENCES.findall(header):
        # Parameters, of which `wait` has none, come behind a semicolon.
        name, _, value = next(iter(_PARAMETERS.findall(preference)), "").partition("=")
        if name.strip().lower() == _WAIT:
            digits = _unquoted(value.strip())
            is_whole = digits.isascii() and digits.isdigit() and len(digits) <= _MAX_DIGITS
            return int(digits) if is_whole else 0
    return 0


def _unquoted(word: str) -> str:
    if len(word) > 1 and word[0] == word[-1] == '"':
        return _ESCAPED.sub(r"\1", word[1:-1])
    return word
