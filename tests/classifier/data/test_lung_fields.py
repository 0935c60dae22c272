from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from classifier.data import lung_fields
from classifier.data.lung_fields import SIDE, LungFields
from classifier.errors import Refused
from classifier.networks.preprocess import WHOLE, Box
from classifier.reasons import RefusalReason

HALF = np.pad(np.full((SIDE, SIDE // 2), 0.6), ((0, 0), (0, SIDE // 2)))


def find(working):
    return Box(0.1, 0.2, 0.9, 1.0), HALF


@pytest.fixture
def decoded(monkeypatch):
    monkeypatch.setattr(lung_fields, "DecodedImage", SimpleNamespace)
    return SimpleNamespace(working=np.zeros((4, 4), np.uint16))


def test_lungs_are_found_once_and_kept_for_another_run(tmp_path, decoded):
    first = LungFields(tmp_path / "lungs.npz", [True, True, False], find)
    assert [first.lacks(at, f"sha{at}") for at in range(3)] == [True, True, False]
    first.add(0, "sha0", decoded)
    first.add(1, "sha1", Refused(RefusalReason.TOO_SMALL))
    first.save()
    again = LungFields(tmp_path / "lungs.npz", [True, True, False], find)
    assert [again.lacks(at, f"sha{at}") for at in range(3)] == [False, True, False]
    box, lungs = again.of("sha0")
    assert box == Box(0.1, 0.2, 0.9, 1.0)
    assert lungs / 255 == pytest.approx(HALF, abs=0.01)
    assert again.of("sha1") == (WHOLE, None)


def test_a_file_of_another_version_is_not_used(tmp_path, decoded, monkeypatch):
    first = LungFields(tmp_path / "lungs.npz", [True], find)
    first.add(0, "sha0", decoded)
    first.save()
    monkeypatch.setattr(lung_fields, "VERSION", lung_fields.VERSION + 1)
    assert LungFields(tmp_path / "lungs.npz", [True], find).lacks(0, "sha0")
