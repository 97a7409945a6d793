"""What a task can do."""
