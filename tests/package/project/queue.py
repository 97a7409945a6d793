"""A module of the user's, not to be imported in place of the standard library's."""

raise ImportError("a library imported the module of the user")
