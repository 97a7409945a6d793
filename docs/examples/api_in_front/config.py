"""The settings of the application, from the environment."""

import os

QUEUE_URL = os.environ.get("QUEUE_URL", "http://localhost:8080")
PORT = int(os.environ.get("PORT", "8000"))
CURRENCY = "EUR"
