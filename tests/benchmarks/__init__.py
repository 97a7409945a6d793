"""Side by side with other task queues: the same work, machine and run. `make bench`."""
