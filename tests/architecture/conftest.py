from __future__ import annotations

import sys
from pathlib import Path

# The tools are scripts that import each other by plain names.
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
