"""Requests at random, made of the description of the API: `make fuzz`."""
