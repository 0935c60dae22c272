"""A candidate in shadow mode: it scores what is new, and no reader's page, list or event knows of it."""

from __future__ import annotations

import pytest

from tests.factories import ModelVersionFactory, ScanFactory, parsed, prediction
from webapp.analysis.models import Analysis, ShadowAnalysis
from webapp.analysis.selectors import scan_analyses
from webapp.analysis.shadow import agreement, shadow_done, shadows_queue
from webapp.analysis.state import state_of
from webapp.registry.models import ModelVersion
from webapp.scans.models import Upload
from webapp.scans.services import upload_finish, upload_store
from webapp.scans.uploads.stated_metadata import StatedMetadata

pytestmark = pytest.mark.django_db


@pytest.fixture
def shadow(model):
    version = ModelVersionFactory(number=2, status="candidate")
    ModelVersion.objects.filter(pk=version.pk).update(shadow=True)
    return version


def say(abstention=None, **probabilities) -> None:
    for row in ShadowAnalysis.objects.claim(10):
        assert shadow_done(shadow=row, prediction=prediction(**probabilities))


def test_a_new_scan_is_queued_for_both_and_the_reader_sees_the_active_models_result(
    shadow, model, owner, site, finished_analysis
):
    upload_store(user=owner, site=site, chunks=[b"x"], filename="x.png", stated=StatedMetadata())
    [claimed] = Upload.objects.claim()
    [scan] = upload_finish(upload=claimed, results=[parsed(claimed, claimed.attempt_token)])
    assert ShadowAnalysis.objects.get().model_version == shadow
    assert Analysis.objects.get().model_version == model
    finished_analysis(normal=0.9)
    say(pneumonia=0.9)
    scan.refresh_from_db()
    assert [analysis.model_version for analysis in scan_analyses(scan)] == [model]
    assert state_of(scan).status == "done"
    assert scan.study.summary.finding == "normal"


def test_only_candidates_that_are_asked_to_score_what_is_new(model, site):
    ModelVersionFactory(number=3, status="candidate")
    assert shadows_queue([ScanFactory(site=site)]) == 0


def test_a_shadow_is_scored_once_however_often_it_is_queued(shadow, site):
    scan = ScanFactory(site=site)
    for _ in range(2):
        shadows_queue([scan])
    [row] = ShadowAnalysis.objects.claim(10)
    assert ShadowAnalysis.objects.claim(10) == []
    ShadowAnalysis.objects.update(lease_expires_at=row.created_at)
    [again] = ShadowAnalysis.objects.claim(10)
    assert not shadow_done(shadow=row, prediction=prediction(normal=0.9))
    assert again.fail("bad_image")


def test_agreement_is_summed_up_against_the_active_model(shadow, model, queued, finished_analysis, site):
    for ours, theirs in (("normal", "normal"), ("pneumonia", "pneumonia"), ("normal", "pneumonia")):
        scan = queued()
        finished_analysis(**{theirs: 0.9})
        shadows_queue([scan])
        say(**{ours: 0.8})
    shadows_queue([ScanFactory(site=site)])  # the active model has not seen this one
    say(normal=0.9)
    shown = agreement(shadow)
    assert (shown.scored, shown.compared, shown.same, shown.failed) == (4, 3, 2, 0)
    assert shown.reported == {"normal": (2, 1), "pneumonia": (1, 2)}
    assert shown.kappa == pytest.approx(0.4)
    assert shown.difference["covid19"] == 0
    assert shown.difference["pneumonia"] == pytest.approx((0 + 0.1 + 0.9) / 3)
    assert agreement(model).scored == 0
