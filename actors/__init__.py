"""The actors of the task queue: everything that holds state, and nothing of HTTP."""
