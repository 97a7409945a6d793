"""What every actor is built on: its life, its address, and how it is supervised."""
