"""How tasks are kept in a database: one implementation for SQLite and PostgreSQL.

`session` opens and ends transactions. What is done in them is functions, each beside its SQL, that
take the session's connection and raise what SQLAlchemy raises, which the session turns into errors
of ours. `commit` calls them for the messages of the writer, the reader calls them itself.
"""
