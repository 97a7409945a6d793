"""Other task queues: for each its task, its client and its workers, apart from all figures."""
