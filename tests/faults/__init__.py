"""Faults of every kind against a real server process; nothing accepted may be lost."""
