"""A server under a mixed load of every kind of action for minutes: does it stay as it was?

`make soak`.
"""
