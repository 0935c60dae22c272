"""A comparison leaves out the test cases that either model was trained or validated on."""

from __future__ import annotations

import csv
import uuid
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors.numpy import save

from classifier.artifact.header import header_metadata, with_sorted_header
from classifier.artifact.training_set import TrainingSet
from tests import factories
from tests.webapp.registry.test_promotion_rules import measures, sides
from webapp.core import storage
from webapp.registry.comparisons import comparison_request
from webapp.registry.models import Comparison
from webapp.registry.services import model_promote, model_register
from worker.jobs import validation_and_comparison
from worker.jobs.comparison_cases import unseen_cases

pytestmark = pytest.mark.django_db
MANIFEST = f"snapshots/{uuid.uuid4()}.csv"


def model(path: Path, seed: int, used: TrainingSet | None):
    """A registered model that has learned from these images and patients."""
    import numpy as np

    spec = replace(factories.spec_of("cxr"), name=f"model {seed}")
    tensors = {"classifier.fc.bias": np.full(3, seed, dtype=np.float32)}
    path.write_bytes(with_sorted_header(save(tensors, header_metadata(spec, {}, used))))
    return model_register(path)


@pytest.fixture
def scans(site):
    """Four scans of as many patients, the first one a training case."""
    made = [
        factories.ScanFactory(
            site=site,
            patient=factories.PatientFactory(site=site, patient_id=f"P-{n}"),
            working_sha256=f"{n}" * 64,
            upload__sha256=f"{n + 4}" * 64,
        )
        for n in range(4)
    ]
    path = storage.path_of(MANIFEST)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["image", "finding", "patient", "split", "sha256"])
        for n, scan in enumerate(made):
            image = f"../{scan.working_name}"
            table.writerow([image, "normal", f"p-{n}", "test" if n else "train", scan.working_sha256])
    return made


@pytest.fixture
def compared(person, site, tmp_path, scans):
    def make(used: TrainingSet | None, active: TrainingSet | None = None) -> Comparison:
        admin = person("admin", role="admin", site=site)
        first = model(tmp_path / "1", 1, active)
        model_promote(model_version=first, by=admin, reason="the first")
        candidate = model(tmp_path / "2", 2, used)
        return comparison_request(candidate=candidate, manifest_name=MANIFEST, fingerprint="f", site=site)

    return make


def images_in(manifest: Path) -> list[str]:
    with manifest.open(newline="") as file:
        return [line["image"] for line in csv.DictReader(file)]


OTHERS = TrainingSet.of({"train": [("9" * 64, "elsewhere")]})


@pytest.mark.parametrize(
    "pair",
    [("1" * 64, "x"), ("5" * 64, "x"), ("x", "p-1"), ("x", "P-1")],
    ids=["working image", "uploaded file", "pseudonym", "patient ID"],
)
@pytest.mark.parametrize("part", ["train", "val"])
def test_a_test_case_that_the_candidate_knows_is_left_out(compared, scans, tmp_path, pair, part):
    row = compared(TrainingSet.of({part: [pair]}), OTHERS)
    manifest, excluded = unseen_cases(row, tmp_path)
    assert excluded == {"cases": 1, "candidate": 1, "active": 0, "remaining": 2, "unrecorded": []}
    kept = [str(storage.path_of(scans[n].working_name)) for n in (0, 2, 3)]
    assert images_in(manifest) == kept, "absolute paths; what is not in the test set stays"


def test_the_active_model_counts_too_and_a_case_of_both_once(compared, tmp_path):
    both = compared(TrainingSet.of({"train": [("1" * 64, "")]}), TrainingSet.of({"val": [("1" * 64, "P-2")]}))
    _, excluded = unseen_cases(both, tmp_path)
    assert excluded == {"cases": 2, "candidate": 1, "active": 2, "remaining": 1, "unrecorded": []}


def test_models_that_do_not_record_their_training_data_are_named(compared, tmp_path):
    _, excluded = unseen_cases(compared(None, OTHERS), tmp_path)
    assert (excluded["cases"], excluded["unrecorded"]) == (0, ["candidate"])


def test_with_no_case_left_the_candidate_is_unjudged_without_a_run(compared, monkeypatch):
    used = TrainingSet.of({"train": [("1" * 64, ""), ("2" * 64, ""), ("3" * 64, "")]})
    row = compared(used, OTHERS)
    monkeypatch.setattr(validation_and_comparison, "is_unchanged", lambda *of: True)
    monkeypatch.setattr(validation_and_comparison, "ClassifierProcess", None)
    assert validation_and_comparison.compare_next(None)
    row.refresh_from_db()
    assert (row.outcome, row.report["excluded"]["cases"]) == ("unjudged", 3)
    assert row.notes[0].startswith("3 of 3 test cases were excluded")


def test_the_numbers_are_kept_with_the_report(compared, monkeypatch):
    row = compared(TrainingSet.of({"train": [("1" * 64, "")]}), OTHERS)
    report = {
        "cases": 2, "models": {"candidate": {}, "active": {}}, "lost_findings": [], "new_findings": [],
        "no_result": {"candidate": 0, "active": 0}, "all": measures(sides(0.82, 0.8)),
        "coverage": {"candidate": 1.0, "active": 1.0}, "calibration_by_chance": 0.05,
        "groups": {}, "shortcuts": {}, "changes": [],
    }  # fmt: skip
    monkeypatch.setattr(validation_and_comparison, "is_unchanged", lambda *of: True)
    monkeypatch.setattr(validation_and_comparison, "ClassifierProcess", lambda arguments, folder: arguments)

    def run(job, arguments, folder, interrupted, keep):
        assert f"--manifest={folder / 'manifest.csv'}" in arguments
        keep.append(report)
        return 0

    monkeypatch.setattr(validation_and_comparison, "run_process", run)
    assert validation_and_comparison.compare_next(None)
    row.refresh_from_db()
    assert row.outcome == "passed"
    assert row.report["excluded"] == {
        "cases": 1, "candidate": 1, "active": 0, "remaining": 2, "unrecorded": [],
    }  # fmt: skip
