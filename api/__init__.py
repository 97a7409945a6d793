"""The HTTP interface and the command line: the edges, which ask and never hold state."""
