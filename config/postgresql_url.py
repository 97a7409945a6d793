"""What the URL of a PostgreSQL database may say: each parameter is used, or refused by its name."""

import re
from urllib.parse import parse_qsl, urlsplit

_OURS = (
    "client_encoding",
    "default_transaction_deferrable",
    "default_transaction_isolation",
    "default_transaction_read_only",
    "extra_float_digits",
    "idle_in_transaction_session_timeout",
    "idle_session_timeout",
    "lock_timeout",
    "session_replication_role",
    "standard_conforming_strings",
    "statement_timeout",
    "synchronous_commit",
    "timezone",
    "transaction_deferrable",
    "transaction_isolation",
    "transaction_read_only",
    "transaction_timeout",
)
"""The settings of a session that the service makes itself; see `actors/store/postgresql.py`."""

_OPTION = re.compile(r"(?:-c\s*|--)(?P<name>[A-Za-z_][\w.-]*)=(?P<value>(?:\\.|[^\s\\])*)(?:\s+|$)")
_UNFIT = {
    "client_encoding": "is always UTF8",
    "replication": "is for replicas",
    "service": "is not read: write what it stands for into the URL",
}
_WRITABLE = ("any", "primary", "read-write")


def check(url: str) -> None:
    """Accept a URL whose parameters can be used.

    Raises:
        ValueError: With what is wrong, without passwords.
    """
    from psycopg import ProgrammingError  # noqa: PLC0415 - slow, and of no use with SQLite
    from psycopg.conninfo import conninfo_to_dict  # noqa: PLC0415

    try:
        parameters = conninfo_to_dict(url)
    except ProgrammingError as error:
        text = str(error).strip()
        if "percent-encoded" in text:  # shows what may be the password
            text = "a % must be followed by two hexadecimal digits: write %25"
        raise ValueError(f"is no URL of PostgreSQL: {text}") from None
    names = [name for name, _ in parse_qsl(urlsplit(url).query, keep_blank_values=True)]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"has the parameter {twice[0]} twice")
    for name, reason in _UNFIT.items():
        if name in parameters:
            raise ValueError(f"must not have the parameter {name}, which {reason}")
    session = parameters.get("target_session_attrs", "primary")
    if session not in _WRITABLE:
        raise ValueError(
            f"must not have target_session_attrs={session}, as the service writes; allowed:"
            f" {', '.join(_WRITABLE)}"
        )
    timeout = str(parameters.get("connect_timeout", 1))
    if not timeout.isdecimal() or int(timeout) == 0:
        raise ValueError(f"must not have connect_timeout={timeout}; allowed: seconds from 1 on")
    options(url)


def options(url: str) -> dict[str, str]:
    """Return the settings of PostgreSQL that the parameter `options` asks for, by name.

    Raises:
        ValueError: It is not understood, or asks for what the service sets itself.
    """
    from psycopg.conninfo import conninfo_to_dict  # noqa: PLC0415 - see `check`

    text = str(conninfo_to_dict(url).get("options", "")).strip()
    asked: dict[str, str] = {}
    while text:
        if (match := _OPTION.match(text)) is None:
            raise ValueError(f"has options that are not understood: {text}; write -c name=value")
        name = match["name"].replace("-", "_")
        if name.lower() in _OURS:
            raise ValueError(f"must not set {name} in its options, which the service sets itself")
        asked[name] = re.sub(r"\\(.)", r"\1", match["value"])
        text = text[match.end() :]
    return asked
