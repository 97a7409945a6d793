"""What the HTTP API promises: its operations, their parameters and their answers."""
