"""Actions that send the data over HTTP, to addresses that are allowed."""
