"""CT slices: one window in Hounsfield units, the same for a DICOM file and for an exported image."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.data import get_testdata_file

from classifier.__main__ import main
from classifier.artifact.weights import load_artifact
from classifier.contract import ModelSpec, Slot
from classifier.data.manifest import image_of, read_manifest
from classifier.errors import Refused
from classifier.images.grayscale import hounsfield_to_level
from classifier.images.read import read_image
from classifier.networks.preprocess import to_unit_square
from tests.classifier.collection import write_collection, write_manifest

SPEC = ModelSpec(
    name="tiny", slot=Slot.CT, findings=("left", "right"), layers=(1, 1, 1, 1), width=4, size=64,
    hounsfield=(-1350.0, 150.0),
)  # fmt: skip
TINY = "--slot ct --layers 1,1,1,1 --width 4 --size 64 --no-progressive --batch 8 --device cpu --json"


def test_black_and_white_are_the_windows_ends_whatever_else_is_in_the_slice():
    slice_ = np.full((64, 64), hounsfield_to_level(-600), dtype=np.uint16)
    slice_[:8], slice_[-8:] = hounsfield_to_level(-1024), hounsfield_to_level(2000)
    unit = to_unit_square(slice_, SPEC)[0]
    assert unit[32, 32] == pytest.approx(0.5, abs=1e-4)
    assert (unit[0, 0], unit[-1, 0]) == (pytest.approx((1350 - 1024) / 1500, abs=1e-4), 1.0)
    slice_[20:40] = hounsfield_to_level(3000)
    assert to_unit_square(slice_, SPEC)[0, 16, 0] == pytest.approx(0.5, abs=1e-4)


def test_a_dicom_slice_is_seen_as_its_export_in_the_same_window(tmp_path):
    file = get_testdata_file("CT_small.dcm")
    stored = dcmread(file)
    hounsfield = stored.pixel_array * float(stored.RescaleSlope) + float(stored.RescaleIntercept)
    grey = np.rint((hounsfield.clip(-1350, 150) + 1350) / 1500 * 255).astype(np.uint8)
    Image.fromarray(grey).save(tmp_path / "export.png")
    seen = [
        to_unit_square(read_image(path, Slot.CT).working, SPEC) for path in (file, tmp_path / "export.png")
    ]
    assert (seen[0] - seen[1]).abs().max() <= 1 / 255


@pytest.mark.parametrize(
    ("slot", "window"), [(Slot.CT, None), (Slot.CXR, (-1350.0, 150.0)), (Slot.CT, (9.0, 1.0))]
)
def test_a_window_belongs_to_ct_and_is_in_order(slot, window):
    with pytest.raises(ValueError, match=r"window|ascending"):
        replace(SPEC, slot=slot, hounsfield=window)


def test_a_spec_with_a_window_comes_back_from_its_json():
    assert ModelSpec.from_json(SPEC.to_json()) == SPEC


def test_a_slice_is_no_radiograph_and_the_other_way_round(tmp_path):
    write_collection(tmp_path, patients=1)
    Image.fromarray(np.zeros((64, 64), np.uint8)).save(tmp_path / "x.png")
    lines = [{"image": get_testdata_file("CT_small.dcm"), "finding": "left", "patient": "a"}]
    row = read_manifest(write_manifest(tmp_path / "ct.csv", lines))[0]
    assert image_of(row, Slot.CT).slot is Slot.CT
    with pytest.raises(Refused, match="a ct image for a cxr model"):
        image_of(row, Slot.CXR)


def test_a_manifest_of_slices_becomes_a_ct_model_and_predict_goes_by_it(tmp_path, capsys):
    manifest = write_collection(tmp_path / "slices", patients=40)
    command = ["train", "--manifest", str(manifest), "--out", str(tmp_path / "run"), *TINY.split()]
    assert main([*command, "--epochs", "4", "--epoch-images", "128", "--lr", "5e-3", "--ema", "0.9"]) == 0
    model = tmp_path / "run" / "model.safetensors"
    assert load_artifact(model).spec.hounsfield == (-1350.0, 150.0)
    capsys.readouterr()
    files = [get_testdata_file("CT_small.dcm"), str(tmp_path / "slices" / "001-0.png")]
    assert main(["predict", *files, "--model", str(model), "--json"]) == 0
    slice_, export = map(json.loads, capsys.readouterr().out.splitlines())
    assert slice_["status"] in {"ok", "abstained"}
    assert export["probabilities"]["right"] > export["probabilities"]["left"]
