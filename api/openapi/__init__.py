"""The description of the API, as it is answered: for programs and for people."""
