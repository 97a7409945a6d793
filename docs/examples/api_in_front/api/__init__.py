"""An application that takes orders and leaves the work to a queue."""
