"""How one queue's tasks are made durable, claimed and settled: the part that can be swapped."""
