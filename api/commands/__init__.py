"""Commands of the command line, one file for each, or for each group of those that ask a server."""
