"""Tasks in a test: `run_inline`, and what code that publishes over HTTP is answered there."""
