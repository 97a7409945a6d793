"""The task queue's actors: everything that holds state, and nothing that speaks HTTP."""
