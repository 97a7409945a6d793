"""A module of the user's, as there are in most projects."""

NAMES = ("me", "you")
