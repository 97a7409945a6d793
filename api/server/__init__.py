"""The server process: waitress, signals, banner, drain."""
