"""Statements as the driver takes them, compiled once.

SQLAlchemy Core looks a statement up in its cache and works through its parameters by name at every
execution: some 30 µs a statement and 7 µs a row on top of what SQLite needs, which is 4 µs a row.
So the hot statements are compiled when a store is made, and their parameters are read by position.
"""

from collections.abc import Iterable, Mapping
from operator import attrgetter
from typing import Any

import sqlalchemy as sa


def _compiled(
    statement: sa.Executable, dialect: sa.Dialect, columns: list[str] | None = None
) -> Any:  # noqa: ANN401 - the compilers of statements have no common type
    # Each driver's own mark for a parameter; psycopg would otherwise have them by name.
    style = "qmark" if dialect.name == "sqlite" else "format"
    by_position = type(dialect)(paramstyle=style)  # type: ignore[call-arg] # all of them take it
    return statement.compile(dialect=by_position, column_keys=columns)  # type: ignore[attr-defined]


class Prepared:
    """A statement that is said once."""

    def __init__(self, statement: sa.Executable, dialect: sa.Dialect) -> None:
        """Compile the statement.

        Args:
            statement: What is said.
            dialect: Of which database.
        """
        compiled = _compiled(statement, dialect)
        self.text = str(compiled)
        self._constants = compiled.params
        self._names = compiled.positiontup

    def parameters(self, **values: object) -> tuple[Any, ...]:
        """The parameters in the order of the text."""
        values = self._constants | values
        return tuple(values[name] for name in self._names)


class PreparedRows:
    """A statement that is said for many rows at once, each read off an object of ours."""

    def __init__(
        self, statement: sa.Executable, dialect: sa.Dialect, attributes: Mapping[str, str]
    ) -> None:
        """Compile the statement.

        Args:
            statement: What is said; it has no constant parameters.
            dialect: Of which database.
            attributes: Parameter to the dotted name of the attribute it is read from; of an
                insert, also which columns it has.
        """
        compiled = _compiled(statement, dialect, list(attributes))
        self.text = str(compiled)
        self._in_order = attrgetter(*(attributes[name] for name in compiled.positiontup))

    def parameters(self, rows: Iterable[object]) -> list[tuple[Any, ...]]:
        """Each row's parameters in the order of the text."""
        return list(map(self._in_order, rows))
