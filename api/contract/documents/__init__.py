"""The documents that are answered, as models, in files like those of `routes`."""
