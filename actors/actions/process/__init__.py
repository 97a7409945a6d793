"""Actions in processes of their own, and how these are started and ended."""
