"""How tasks are kept in a database: one implementation for SQLite and PostgreSQL."""
