"""How tasks are kept in a database: one implementation for SQLite and PostgreSQL.

`session` opens and ends transactions. Everything else is functions, each beside its SQL, that take
the session's connection inside a transaction, and raise what SQLAlchemy raises: the session turns
it into errors of ours. `commit` calls them for what the writer is told.
"""
