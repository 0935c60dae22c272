"""What holds when several people and workers act at once; on SQLite and, with DATABASE_URL, on PostgreSQL."""

from __future__ import annotations

from functools import partial

import pytest

from tests.factories import (
    ModelVersionFactory,
    PatientFactory,
    ScanFactory,
    StudyFactory,
    UploadFactory,
    artifact,
    cam,
    parsed,
    prediction,
)
from tests.threads import in_threads
from webapp.accounts.models import Role
from webapp.accounts.services import membership_set
from webapp.analysis import services
from webapp.analysis.models import Analysis, StudySummary
from webapp.core import storage
from webapp.registry.models import ModelVersion
from webapp.registry.services import model_promote, model_register
from webapp.scans.models import Patient, Study, Upload
from webapp.scans.patients.corrections import scan_move
from webapp.scans.services import upload_finish, upload_store

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def admin(person, site):
    """The roles of the data migration are flushed by tests like these."""
    role, _ = Role.objects.get_or_create(
        name="admin", defaults={"permissions": ["scan.move", "scan.view", "model.promote", "model.override"]}
    )
    user = person("admin")
    membership_set(user=user, site=site, role=role)
    return user


def done(analysis: Analysis, **probabilities: float) -> bool:
    text = {"prediction": prediction(**probabilities), "cam": cam(), "seconds": 0.1}
    return services.analysis_done(analysis=analysis, **text)


def test_the_same_bytes_at_once_are_one_upload_and_one_file(admin, site):
    store = partial(upload_store, user=admin, site=site, chunks=[b"the same bytes"])
    responses = in_threads(*[store] * 4)
    upload = Upload.objects.get()
    assert {response.pk for response, _ in responses} == {upload.pk}
    assert sorted(created for _, created in responses) == [False, False, False, True]
    assert [path.name for path in storage.path_of(upload.stored_name).parent.iterdir()] == ["original"]


def test_scans_of_one_new_patient_filed_at_once_join_one_study(site):
    for _ in range(4):
        UploadFactory(site=site)
    header = {"PatientID": "P1", "StudyInstanceUID": "1.2.3", "SeriesInstanceUID": "1.2.4"}
    uploads = Upload.objects.claim(4)
    results = [[parsed(u, u.attempt_token, shade=i, **header)] for i, u in enumerate(uploads)]
    in_threads(
        *[
            partial(upload_finish, upload=upload, results=result)
            for upload, result in zip(uploads, results, strict=True)
        ]
    )
    assert (Patient.objects.count(), Study.objects.count()) == (1, 1)
    assert StudySummary.objects.get().scans == 4


def test_results_to_one_study_at_once_are_all_in_its_summary(site):
    ModelVersionFactory()
    studies = [StudyFactory(patient__site=site) for _ in range(3)]
    for study in studies:
        services.analyses_queue(ScanFactory(site=site, series__study=study) for _ in range(3))
    text = {"normal": 0.9}, {"pneumonia": 0.7}, {"covid19": 0.8}
    for _ in studies:
        batch = Analysis.objects.claim(3)
        in_threads(*[partial(done, analysis, **p) for analysis, p in zip(batch, text, strict=True)])
    reported = StudySummary.objects.values_list("status", "finding", "scans")
    assert list(reported) == [("done", "covid19", 3)] * 3


def test_a_scan_moved_while_it_is_processed_is_counted_where_it_ends_up(site, admin):
    ModelVersionFactory()
    for _ in range(4):
        scan = ScanFactory(site=site)
        services.analyses_queue([scan])
        target = PatientFactory(site=site)
        move = partial(scan_move, scan=scan, patient=target, actor=admin, reason="wrong")
        in_threads(move, partial(done, Analysis.objects.claim()[0], pneumonia=0.8))
        summary = StudySummary.objects.get(study__patient=target)
        assert (summary.status, summary.finding) == ("done", "pneumonia")
    assert StudySummary.objects.count() == 4


def test_two_promotions_at_once_leave_one_active_model(admin, tmp_path):
    versions = [model_register(artifact(tmp_path / f"{seed}", seed=seed)) for seed in range(4)]
    promote = partial(model_promote, by=admin, reason="mine", override=True)
    in_threads(*[partial(promote, model_version=v) for v in versions])
    statuses = ModelVersion.objects.values_list("status", flat=True)
    assert sorted(statuses) == ["active", "retired", "retired", "retired"]
    actives = {promotion.previous for version in versions for promotion in version.promotions.all()}
    assert len(actives) == 4, "each promotion followed the one before"


def test_models_registered_at_once_are_numbered_one_after_the_other(tmp_path):
    paths = [artifact(tmp_path / f"{seed}", seed=seed // 2) for seed in range(4)]
    in_threads(*[partial(model_register, path) for path in paths])
    assert sorted(ModelVersion.objects.values_list("number", flat=True)) == [1, 2]
