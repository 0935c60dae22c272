"""A model small enough to be made for each test, and uploads whose bytes are stored."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.factories import SiteFactory, UploadFactory, digest, spec_of
from webapp.core import storage
from webapp.registry.services import models_install


@pytest.fixture
def model(db, tmp_path):
    """A whole, active model for chest X-rays that knows nothing and returns in milliseconds."""
    [(version, _)] = models_install([tiny_artifact(tmp_path / "tiny.safetensors")])
    return version


@pytest.fixture
def stored_upload(db):
    """Makes an upload of these bytes, as `upload_store` leaves it."""
    site = SiteFactory()

    def make(data: bytes = b"some bytes", **fields):
        upload = UploadFactory(site=site, sha256=digest(data), **fields)
        path = storage.path_of(upload.stored_name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return upload

    return make


def tiny_artifact(
    path: Path, *, slot: str = "cxr", seed: int = 0, input_check=None, **changes: object
) -> Path:
    import torch

    from classifier.artifact.weights import save_artifact
    from classifier.networks.registry import network_for

    spec = spec_of(slot, layers=(1, 1, 1, 1), width=8, size=64, **changes)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        state = network_for(spec).state_dict()
    golden = np.linspace(0, 60_000, 64 * 64, dtype=np.uint16).reshape(1, 64, 64)
    card = {"limits": ["knows nothing"]}
    save_artifact(path, spec=spec, classifier_state=state, card=card, golden=golden, input_check=input_check)
    return path
