"""How the page looks, and the policy that lets a browser load nothing else."""

import base64
import hashlib
from importlib import resources

STYLE = resources.files("task_queue.api.openapi").joinpath("docs.css").read_text("utf-8").strip()
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'sha256-"
    + base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    + "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""What the page may load and run: its own style, and nothing else."""
