"""HTTP endpoints as actions."""
