"""The commands that ask a server, one file for each group of them."""
