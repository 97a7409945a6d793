"""The HTTP interface and the command line: the edges, which ask the actors and hold no state."""
