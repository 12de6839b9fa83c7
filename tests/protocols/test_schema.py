"""Every route keeps what the stored OpenAPI promises: no 5xx, no answer outside its schema.

Requests are made by schemathesis from that description, always the same ones.
"""

import json
from pathlib import Path

STORED = json.loads((Path(__file__).parent.parent.parent / "docs/openapi.json").read_text("utf-8"))
