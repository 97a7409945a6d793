"""A connection to PostgreSQL: what it asks for, whether that is in force, how long it waits."""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from math import inf
from time import monotonic
from typing import Any, TypeVar

import psycopg
from psycopg import conninfo, pq, sql

R = TypeVar("R")

_NEEDED: Mapping[str, str] = {
    "synchronous_commit": "on",  # a commit is on disk when it returns
    "TimeZone": "UTC",
    "extra_float_digits": "1",  # or times come back rounded
    "standard_conforming_strings": "on",
}
"""What we ask for, whatever the defaults of the server, the database and the role are."""

_ENCODINGS = ("UTF8", "SQL_ASCII")
"""The encodings of a database that keep every text; others refuse what they have no letter for."""

_UNLIMITED: Mapping[str, int] = {"idle_session_timeout": 140_000, "transaction_timeout": 170_000}
"""What must not end our sessions, and the first version of the server that has it."""

_APPLY = """
    SELECT set_config(name, value, false)
    FROM unnest(%s::text[], %s::text[]) AS asked (name, value)
"""
_IN_FORCE = "SELECT name, setting FROM pg_settings WHERE name = ANY(%s)"
_RISKS: Mapping[str, str] = {
    "fsync": "PostgreSQL has fsync = off: a crash of its machine loses tasks that were accepted",
    "full_page_writes": (
        "PostgreSQL has full_page_writes = off: a crash of its machine can damage the database"
    ),
}


_PLACES = {
    "host",
    "hostaddr",
    "dbname",
    "password",
    "passfile",
    "sslcert",
    "sslkey",
    "sslrootcert",
    "sslcrl",
    "sslcrldir",
    "requirepeer",
    "require_auth",
    "options",
}
"""Parameters of libpq for which an empty text means the same as none."""


def from_environment(url: str) -> dict[str, str]:
    """Return what libpq would use now for parameters that the URL does not have.

    It reads environment variables at every connection, which an action in a thread may have set
    for itself meanwhile.
    """
    named = conninfo.conninfo_to_dict(url)
    found: dict[str, str] = {}
    for each in pq.Conninfo.get_defaults():
        name, value = each.keyword.decode(), each.val
        if each.envvar and name not in named and (value is not None or name in _PLACES):
            found[name] = (value or b"").decode()
    if named.get("sslrootcert") == "system" and found.get("sslmode") == "prefer":
        del found["sslmode"]  # libpq has another one then
    return found


@dataclass(frozen=True, slots=True)
class Terms:
    """What a connection is asked for.

    Attributes:
        read_only: Whether it may not write.
        connect_timeout_seconds: How long to wait for a connection, for each host of the URL.
        statement_timeout_seconds: How long the server lets one statement take.
        lock_timeout_seconds: How long the server lets one statement wait for a lock.
        idle_timeout_seconds: How long the server lets a transaction wait for its next statement.
        options: Settings of PostgreSQL that the URL asks for.
        environment: See `from_environment`.
    """

    read_only: bool
    connect_timeout_seconds: int
    statement_timeout_seconds: float
    lock_timeout_seconds: float
    idle_timeout_seconds: float
    options: Mapping[str, str]
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def limit_seconds(self) -> float:
        """How long we wait for an answer: longer than the server may take to cancel a statement."""
        return self.statement_timeout_seconds + self.connect_timeout_seconds

    @property
    def settings(self) -> dict[str, str]:
        """The settings that are to be in force, by name."""
        seconds = {
            "statement_timeout": self.statement_timeout_seconds,
            "lock_timeout": self.lock_timeout_seconds,
            "idle_in_transaction_session_timeout": self.idle_timeout_seconds,
        }
        timeouts = {name: f"{value * 1000:.0f}" for name, value in seconds.items()}
        return {**self.options, **_NEEDED, **timeouts}


class Connection(psycopg.Connection[Any]):
    """A connection that gives up a server that says nothing.

    Keepalive and `tcp_user_timeout` do not notice a silence behind something that acknowledges
    packets: a proxy, a firewall, a frozen machine's network card. So every exchange has a limit.

    Attributes:
        limit_seconds: How long to wait for the answer to a statement, a commit or a rollback.
        local: What each transaction has to ask for, as a pooler gives it any session; or nothing.
        risks: Sentences on what the server does not promise.
    """

    limit_seconds = inf
    local: sql.Composed | None = None
    risks: tuple[str, ...] = ()

    def wait(self, gen: Generator[Any, Any, R], *args: Any, **kwargs: Any) -> R:  # noqa: ANN401
        """Wait for an answer, up to the limit; then close the connection.

        Raises:
            psycopg.OperationalError: There was none.
        """
        return super().wait(self._until(gen, monotonic() + self.limit_seconds), *args, **kwargs)

    def _until(self, gen: Generator[Any, Any, R], deadline: float) -> Generator[Any, Any, R]:
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted  # nothing is ready ten times a second
                if not ready and monotonic() > deadline:
                    self.close()
                    message = f"the server has not answered for {self.limit_seconds:g} s"
                    raise psycopg.OperationalError(message)
                wanted = gen.send(ready)
        except StopIteration as end:
            result: R = end.value
            return result


def connect(url: str, terms: Terms) -> Connection:
    """Return a connection on which what is asked for is in force.

    Raises:
        psycopg.Error: There is none, or the server does not do what is asked for.
    """
    named = conninfo.conninfo_to_dict(url)
    named.pop("options", None)  # `terms.options`: a pooler would refuse or ignore them
    parameters: dict[str, Any] = {
        **terms.environment,
        "application_name": "task-queue",
        "connect_timeout": terms.connect_timeout_seconds,
        # How long until a server that does not acknowledge counts as gone.
        "tcp_user_timeout": terms.connect_timeout_seconds * 1000,
        "target_session_attrs": "primary",
        **named,
        "client_encoding": "utf8",
    }
    connection = Connection.connect(**parameters)
    try:
        connection.limit_seconds = terms.limit_seconds
        _set_up(connection, terms)
    except BaseException:
        connection.close()
        raise
    return connection


def begin(connection: Any) -> None:  # noqa: ANN401 - SQLAlchemy's name for a driver's
    """Ask for what a transaction needs behind a pooler; else the session has it."""
    if connection.local is not None:
        connection.execute(connection.local, prepare=False)


def _set_up(connection: Connection, terms: Terms) -> None:
    connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
    connection.read_only = terms.read_only
    connection.prepare_threshold = None
    version = connection.info.server_version
    unlimited = {name: "0" for name, since in _UNLIMITED.items() if version >= since}
    settings = {**terms.settings, **unlimited}
    if _is_pooled(connection):
        connection.local = sql.SQL("SELECT {}").format(
            sql.SQL(", ").join(
                sql.SQL("set_config({}, {}, true)").format(name, value)
                for name, value in settings.items()
            )
        )
    else:
        connection.execute(_APPLY, [list(settings), list(settings.values())])
        connection.commit()
    needed = {name: value for name, value in settings.items() if name not in terms.options}
    _check(connection, needed, read_only=terms.read_only)
    encoding = connection.info.parameter_status("server_encoding")
    if encoding not in _ENCODINGS:
        message = f"the database has the encoding {encoding}; it has to be UTF8"
        raise psycopg.OperationalError(message)
    if connection.local is None:
        connection.prepare_threshold = 5  # psycopg's own


def _is_pooled(connection: Connection) -> bool:
    """Return whether something between us and the server hands out its sessions.

    Then the process that answers is not the one that the connection was opened with.
    """
    row = connection.execute("SELECT pg_backend_pid()").fetchone()
    connection.rollback()
    return row is None or row[0] != connection.info.backend_pid


def _check(connection: Connection, needed: Mapping[str, str], *, read_only: bool) -> None:
    """See in a transaction like all later ones that what was asked for is in force."""
    expected = {
        **needed,
        "transaction_isolation": "read committed",
        "transaction_read_only": "on" if read_only else "off",
        "session_replication_role": "origin",  # or no trigger would count the tasks
    }
    begin(connection)
    found = dict(connection.execute(_IN_FORCE, [[*expected, *_RISKS]]).fetchall())
    connection.rollback()
    for name, value in expected.items():
        if found.get(name) != value:
            message = f"the server has {name} = {found.get(name)} although {value} was asked for"
            raise psycopg.OperationalError(message)
    connection.risks = tuple(text for name, text in _RISKS.items() if found.get(name) == "off")
