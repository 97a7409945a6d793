"""Settings and logs: everything that is decided before the first actor starts."""
