"""Fixtures that every part of the suite shares."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ.setdefault("HILUM_ENV", "test")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real images, or a skip that says what is missing."""
    folder = Path(os.environ.get("HILUM_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "cxr" / "manifest.csv").exists():
        pytest.skip("the collection of real images is not here: set HILUM_SHARED_DATA")
    return folder
