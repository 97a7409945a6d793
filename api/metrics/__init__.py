"""`GET /metrics`: the figures of this process and of the database, for Prometheus."""
