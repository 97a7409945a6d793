"""What a task is, and every rule about one. Pure: no clock, no disk, no thread."""
