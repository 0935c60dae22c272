"""The whole loop on made-up images: labels, snapshot, training, gate, promotion, rescoring, rollback.

Its worker is killed on the way, and goes on.
"""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from django.conf import settings as django_settings

from classifier.images.raster.png import read_working, write_grey
from classifier.images.read import read_image
from tests.classifier.collection import image
from tests.factories import LabelFactory, PatientFactory, ScanFactory, StudyFactory
from tests.worker.conftest import tiny_artifact
from tests.worker.test_train import database_url, epochs_of, in_use, wait_until
from webapp.accounts.models import Role
from webapp.accounts.permissions import Permission
from webapp.accounts.services import membership_set
from webapp.analysis.models import Analysis
from webapp.analysis.services import analyses_queue, patient_rescore
from webapp.audit.models import AuditEvent
from webapp.core import storage
from webapp.core.errors import CodedError
from webapp.registry.comparisons import comparison_request, policy_set
from webapp.registry.models import ModelVersion
from webapp.registry.selectors import active_models, artifact_path
from webapp.registry.services import model_import, model_promote, model_register, model_rollback
from webapp.scans.models import Scan
from webapp.training.models import TrainingRun
from webapp.training.schedules import schedule_set, schedules_run
from webapp.training.services import training_start
from webapp.training.snapshots import snapshot_create
from worker.jobs.infer import InferJob
from worker.jobs.snapshot_integrity import is_unchanged
from worker.jobs.train import TrainJob

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

SIDE_OF = {"normal": "left", "pneumonia": "right"}
TINY = {
    "layers": "1,1,1,1", "width": 8, "size": 64, "batch": 8, "epochs": 8, "progressive": False,
    "device": "cpu", "threads": 1, "name": "tiny",
}  # fmt: skip
# Twelve test images state little: the numbers that they cannot bear are let off.
LENIENT = {
    "min_cases": 3, "macro_auc_margin": 0.1, "calibration_limit": 1.0, "sensitivity_margin": 0.5,
    "specificity_margin": 0.5, "coverage_margin": 1.0, "group_margin": 0.5, "group_floor": 0.3,
}  # fmt: skip


@pytest.fixture
def admin(person, site):
    user = person("admin")
    role, _ = Role.objects.get_or_create(name="admin", defaults={"permissions": list(Permission)})
    membership_set(user=user, site=site, role=role)
    return user


@pytest.fixture
def history(site, admin) -> list[Scan]:
    """Sixty labelled scans of as many patients, as an import of a manifest leaves them."""
    scans = []
    for number in range(60):
        finding = ("normal", "pneumonia")[number % 2]
        scans.append(
            scan := ScanFactory(site=site, series__study=StudyFactory(patient=PatientFactory(site=site)))
        )
        path = storage.path_of(scan.working_name)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_grey(path, image(SIDE_OF[finding], number).astype(np.uint16) * 257)
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        Scan.objects.filter(pk=scan.pk).update(working_sha256=sha256, rows=80, columns=80)
        words = {name: "present" if name == finding else "absent" for name in SIDE_OF}
        LabelFactory(scan=scan, findings=words, source="import", reader=admin, signed_as=f"file {number}")
    return scans


@pytest.fixture
def undertrained(site, admin, tmp_path) -> ModelVersion:
    """The active model: its last layer has learned nothing yet, so that it states the same of every image."""
    path = tiny_artifact(tmp_path / "new", findings=tuple(SIDE_OF), name="nothing", thresholds={})
    version = model_register(rewritten(path, tmp_path / "nothing", times=0.0, name="nothing"), by=admin)
    model_promote(model_version=version, by=admin, reason="the first")
    return version


def rewritten(source: Path, path: Path, *, times: float, name: str) -> Path:
    """The same model with its last layer multiplied: by -1 it states the opposite of what it saw."""
    from classifier.artifact.weights import load_artifact, save_artifact

    artifact = load_artifact(source)
    state = artifact.network.state_dict()
    state = {key: tensor * times if key.startswith("fc.") else tensor for key, tensor in state.items()}
    save_artifact(path, spec=replace(artifact.spec, name=name, bias={}), classifier_state=state, card={})
    return path


def work() -> None:
    job = TrainJob()
    while job.step():
        pass


def killed_while_training(run: TrainingRun) -> None:
    """Another process takes the work up, and is killed with -9 once an epoch is done."""
    code = "import worker.app, django; django.setup()\nfrom worker.jobs.train import TrainJob\n"
    code += "while TrainJob().step(): pass"
    worker = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=django_settings.BASE_DIR, env=os.environ | {"DATABASE_URL": database_url()},
    )  # fmt: skip
    assert wait_until(lambda: len(epochs_of(run)) > 1, 280)
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    assert wait_until(lambda: not in_use(run))
    TrainingRun.objects.filter(pk=run.pk).update(lease_expires_at=run.created_at)


def result_all() -> None:
    infer = InferJob()
    while infer.step():
        pass


def reported_of(run: TrainingRun) -> None:
    """What the run's page and its snapshot's can report afterwards."""
    run.refresh_from_db()
    assert (run.status, run.error_code, run.attempts) == ("done", "", 2)
    assert [point["epoch"] for point in run.curve] == list(range(1, 9))
    assert run.options["size"] == 64
    assert run.log
    audit = run.snapshot.validation
    audit.refresh_from_db()
    assert audit.status == "done"
    assert "tiny_finding" in {warning["code"] for warning in audit.warnings}


@pytest.mark.timeout(900)
def test_labels_become_a_better_active_model_and_a_damaged_one_is_kept_out(
    history, undertrained, admin, site, tmp_path
):
    path = storage.path_of(Scan.objects.get(pk=history[0].pk).working_name)
    assert np.array_equal(read_image(path).working, read_working(path)), "training reads what serving reads"
    policy_set(rules=LENIENT, by=admin, reason="a made-up collection")
    snapshot, _ = snapshot_create(site=site, slot="cxr", actor=admin)
    run = training_start(site=site, actor=admin, snapshot=snapshot, config=TINY)
    killed_while_training(run)
    assert active_models() == {"cxr": undertrained}
    work()
    reported_of(run)
    comparison = run.candidate.comparisons.get()
    assert (comparison.status, comparison.reasons, comparison.passed) == ("done", [], True)
    assert comparison.report["all"]["overall"]["macro_auc"]["difference"]["value"] > 0.1
    assert active_models() == {"cxr": undertrained}, "nothing but a promotion changes it"
    refuse_the_damaged(run, site, admin, tmp_path)
    promote_and_go_back(run, undertrained, history[0], admin)

    schedule = schedule_set(site=site, slot="cxr", actor=admin, rules={"cadence": "daily", "start": "active"})
    assert schedules_run(schedule.next_at + timedelta(seconds=1)) == 1
    work()
    by_clock = TrainingRun.objects.get(trigger="schedule")
    assert (by_clock.status, by_clock.error_code) == ("skipped", "data_unchanged")
    acts = set(AuditEvent.objects.values_list("action", flat=True))
    assert acts >= {
        "snapshot.created", "snapshot.validated", "training.started", "training.done", "comparison.requested",
        "comparison.done", "promotion_policy.changed", "model.promoted", "model.registered",
        "patient.rescored", "training_schedule.changed", "training.skipped",
    }  # fmt: skip


def refuse_the_damaged(run: TrainingRun, site, admin, folder: Path) -> None:
    path = rewritten(artifact_path(run.candidate), folder / "damaged", times=-1.0, name="damaged")
    worse = model_import(path=path, site=site, by=admin)
    snapshot = run.snapshot
    comparison_request(
        candidate=worse, manifest_name=snapshot.stored_name, fingerprint=snapshot.fingerprint, site=site
    )
    work()
    refused = worse.comparisons.get()
    assert refused.passed is False
    assert refused.reasons[0].startswith("Macro AUC 0.")
    with pytest.raises(CodedError, match="promotion_gate_failed"):
        model_promote(model_version=worse, by=admin, reason="why not")


def promote_and_go_back(run: TrainingRun, before: ModelVersion, scan: Scan, admin) -> None:
    analyses_queue([scan])
    result_all()
    model_promote(model_version=run.candidate, by=admin, reason="it passed")
    assert patient_rescore(patient=scan.patient, actor=admin) == 1
    result_all()
    reported = Analysis.objects.filter(scan=scan, status="done").values_list("model_version", flat=True)
    assert set(reported) == {before.pk, run.candidate_id}, "the earlier result keeps its version"
    model_rollback(slot="cxr", by=admin)
    assert active_models() == {"cxr": before}


@pytest.mark.timeout(600)
def test_new_labels_are_in_the_snapshot_audited_and_fine_tune_the_active_model_automatically(
    history, undertrained, admin, site
):
    run = training_start(
        site=site,
        actor=admin,
        start="active",
        config={"epochs": 1, "device": "cpu", "threads": 1, "batch": 8},
    )
    job = TrainJob()
    assert job.step(), "creates a snapshot"
    run.refresh_from_db()
    assert (run.status, run.attempts, run.snapshot is not None) == ("queued", 0, True)
    assert job.step(), "audits it"
    assert run.snapshot.validation.status == "done"
    assert job.step(), "trains"
    run.refresh_from_db()
    assert (run.status, run.error_code) == ("done", "")
    assert run.base == undertrained
    assert run.candidate.spec["layers"] == undertrained.spec["layers"]
    assert run.options["lr"] == 1e-4
    assert active_models() == {"cxr": undertrained}


def test_an_image_that_is_not_the_one_that_was_in_the_snapshot_is_trained_on_by_nobody(history, admin, site):
    snapshot, _ = snapshot_create(site=site, slot="cxr", actor=admin)
    assert is_unchanged(snapshot.stored_name, snapshot.fingerprint)
    run = training_start(site=site, actor=admin, snapshot=snapshot, config=TINY)
    path = storage.path_of(Scan.objects.get(pk=history[3].pk).working_name)
    write_grey(path, image("left", 999).astype(np.uint16) * 257)
    work()
    run.refresh_from_db()
    assert (run.status, run.error_code) == ("failed", "data_changed")
    snapshot.validation.refresh_from_db()
    assert (snapshot.validation.status, snapshot.validation.error_code) == ("failed", "data_changed")
