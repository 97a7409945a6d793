"""The base of every actor: its life, its address, and how it is supervised."""
