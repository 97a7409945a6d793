"""Tasks, and every rule about them. Pure: no clock, no disk, no thread."""
