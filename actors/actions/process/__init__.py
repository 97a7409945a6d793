"""Actions in processes of their own, and how these processes are started, watched and ended."""
