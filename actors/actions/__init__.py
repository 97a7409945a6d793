"""Actions: what a task can do, and how each kind of it is run."""
