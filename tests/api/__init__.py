"""The API and the command line, over real HTTP and as real processes."""
