"""The drivers: how a queue's tasks are made durable, claimed and settled."""
