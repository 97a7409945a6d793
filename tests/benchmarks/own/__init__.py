"""How this system is measured: its own process, database and handlers."""
