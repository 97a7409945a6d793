"""The table of all operations, one file for each group of them."""
