"""The messages that actors send each other, a file for each receiver."""
