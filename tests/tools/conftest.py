from __future__ import annotations

import sys
from pathlib import Path

# The tools are scripts that run before anything is installed: they import each other by plain names.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "tools"))
