"""The examples that the documents give, read from where they stand, so that none is a copy."""

from __future__ import annotations

import re
from pathlib import Path

GATEWAY_README = Path(__file__).parents[3] / "README.md"
"""The gateway's own: what callers of the plain SDKs write."""
CLIENT_README = Path(__file__).parents[1] / "README.md"
"""This package's: what Django's views write."""
ADDRESS = "http://localhost:8080"
"""Where the gateway is in the documents."""


def python_examples(document: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", document.read_text(), re.DOTALL | re.MULTILINE)
