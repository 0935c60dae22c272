"""Setting a calibration, using it, going back; what existing results keep."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from django.db import DatabaseError, transaction

from classifier.contract import predict_from
from classifier.evaluation.site.correction import Correction, corrected
from classifier.result_warnings import Measures
from tests import factories, labelled_results
from tests.labelled_results import FINDINGS
from webapp.analysis.calibrated import at_site
from webapp.analysis.models import Analysis
from webapp.analysis.services import analyses_queue, analysis_done
from webapp.audit.models import AuditEvent
from webapp.core.errors import CodedError
from webapp.labels.calibration.cases import labelled_cases
from webapp.labels.calibration.choices import Choices
from webapp.labels.calibration.preview import preview
from webapp.labels.calibration.services import calibration_set
from webapp.registry.calibrations import active_calibration, calibration_changes, calibration_use
from webapp.registry.models import CalibrationChange, SiteCalibration

OWN = dict(zip(FINDINGS, (0.5, 0.35, 0.15), strict=True))


@pytest.fixture
def version(db):
    return factories.make_active(labelled_results.model(status="candidate"))


@pytest.fixture
def establish(site, version, boss):
    """Set a calibration."""

    def make(reason="Fewer false alarms", **choices):
        asked = {"site": site, "version": version, "by": boss, "reason": reason}
        return calibration_set(choices=Choices(**choices), **asked)

    return make


def analysed(site, **changes) -> Analysis:
    """A new scan of the site, analysed by the active model, which gives OWN."""
    scan = factories.ScanFactory(site=site)
    (queued,) = analyses_queue([scan])
    (analysis,) = Analysis.objects.claim(1)
    assert analysis.pk == queued.pk
    predicted = predict_from(analysis.model_version.model_spec, OWN, **changes)
    assert analysis_done(analysis=analysis, prediction=predicted, cam=factories.cam(), seconds=0.1)
    analysis.refresh_from_db()
    return analysis


def test_new_results_use_it_and_keep_the_models_own_output(site, version, establish):
    labelled_results.results(site, version, 200)
    calibration = establish(recalibration="temperature")
    analysis = analysed(site)
    assert analysis.calibration == calibration
    assert analysis.calibration_name == "site-1"
    assert analysis.own_probabilities == OWN
    assert analysis.own_finding == "normal"
    expected = corrected(
        np.array([list(OWN.values())]), Correction.from_dict(calibration.correction), FINDINGS, "softmax"
    )[0]
    assert [analysis.probabilities[finding] for finding in FINDINGS] == pytest.approx(expected)
    assert analysis.probabilities != OWN
    assert analysis.thresholds == calibration.thresholds


def test_the_reported_finding_follows_the_sites_thresholds(site, version, establish):
    labelled_results.results(site, version, 60)
    establish(rule="chosen", thresholds={"normal": 0.6, "pneumonia": 0.3, "covid19": 0.3})
    analysis = analysed(site)
    assert (analysis.finding, analysis.own_finding) == ("pneumonia", "normal")
    assert analysis.probabilities == OWN


def test_existing_results_keep_what_they_were_made_with(site, version, establish):
    labelled_results.results(site, version, 60)
    before = analysed(site)
    establish()
    between = analysed(site)
    establish(rate=0.2)
    for analysis in (before, between):
        analysis.refresh_from_db()
    assert (before.calibration, before.model_output, before.calibration_name) == (None, None, "model")
    assert between.calibration.number == 1
    assert analysed(site).calibration.number == 2


def test_another_site_and_another_version_keep_the_models_own(site, other_site, version, establish):
    labelled_results.results(site, version, 60)
    establish()
    assert analysed(other_site).calibration is None
    later = factories.make_active(labelled_results.model(status="candidate"))
    assert active_calibration(site, later) is None
    assert analysed(site).calibration is None


def test_an_earlier_one_or_the_models_own_can_be_used_again(site, version, boss, establish):
    labelled_results.results(site, version, 60)
    first, second = establish(), establish(rate=0.2)
    assert active_calibration(site, version) == second
    back = {"site": site, "version": version, "by": boss, "reason": "Too many alarms"}
    calibration_use(number=1, **back)
    assert active_calibration(site, version) == first
    assert analysed(site).calibration_name == "site-1"
    calibration_use(number=None, **back)
    assert active_calibration(site, version) is None
    assert analysed(site).calibration_name == "model"
    used = [change.calibration for change in calibration_changes(site, version)]
    assert used == [None, first, second, first]
    with pytest.raises(CodedError, match="in use already"):
        calibration_use(number=None, **back)
    with pytest.raises(CodedError) as error:
        calibration_use(number=3, **back)
    assert error.value.code == "not_found"


def test_a_withheld_result_stays_withheld_with_the_models_own_output(site, version, establish):
    labelled_results.results(site, version, 60)
    establish()
    analysis = analysed(site, abstention="lateral_view")
    assert (analysis.withheld, analysis.abstention) == (True, "lateral_view")
    assert analysis.own_probabilities == OWN


def test_the_share_inside_the_lungs_is_dropped_where_another_finding_leads(site, version, establish):
    labelled_results.results(site, version, 60)
    establish(rule="chosen", thresholds={"normal": 0.6, "pneumonia": 0.3, "covid19": 0.3})
    scan = factories.ScanFactory(site=site)
    analyses_queue([scan])
    (analysis,) = Analysis.objects.claim(1)
    predicted = predict_from(analysis.model_version.model_spec, OWN)
    cam = factories.cam()
    assert analysis_done(
        analysis=analysis,
        prediction=predicted,
        cam=type(cam)(**vars(cam) | {"inside_lungs": 0.9}),
        seconds=0.1,
    )
    assert analysis.stored_cam.cam["inside_lungs"] is None


@pytest.mark.parametrize("recalibration", ["none", "temperature"])
def test_a_prediction_set_stays_only_where_no_probability_changes(site, boss, recalibration):
    sets = {"set_coverage": 0.9, "set_floors": dict.fromkeys(FINDINGS, 0.2)}
    version = factories.make_active(labelled_results.model(status="candidate"))
    spec = dataclasses.replace(version.model_spec, **sets)
    labelled_results.results(site, version, 200)
    calibration = calibration_set(
        site=site, version=version, choices=Choices(recalibration=recalibration), by=boss, reason="x"
    )
    shown = at_site(predict_from(spec, OWN), spec, calibration)
    assert (shown.prediction_set is None) is (recalibration == "temperature")


@pytest.mark.parametrize(("score", "reason"), [(0.9, "other_abnormality"), (0.1, None), (None, None)])
def test_a_finding_reported_at_the_site_only_is_withheld_for_another_abnormality(version, score, reason):
    spec = dataclasses.replace(version.model_spec, thresholds={"pneumonia": 0.99}, other_abnormality=0.6)
    given = {"normal": 0.5, "pneumonia": 0.4, "covid19": 0.1}
    own = predict_from(spec, given, measures=Measures(other_abnormality=score))
    assert (own.finding, own.abstention) == ("normal", None)
    calibration = SiteCalibration(
        thresholds={"normal": 0.6, "pneumonia": 0.3}, correction=Correction().as_dict()
    )
    shown = at_site(own, spec, calibration)
    assert (shown.finding, shown.abstention) == ("pneumonia", reason)


def test_it_is_fitted_on_the_models_own_output_even_after_a_calibration(site, version, boss, establish):
    labelled_results.results(site, version, 120)
    before = labelled_cases(site, version).probabilities
    establish(recalibration="temperature")
    row = Analysis.objects.filter(model_version=version).first()
    Analysis.objects.filter(pk=row.pk).update(
        calibration=active_calibration(site, version),
        model_output={"probabilities": row.probabilities, "finding": row.finding, "uncertainty": 0.5},
        probabilities=dict.fromkeys(FINDINGS, 1 / 3),
    )
    assert labelled_cases(site, version).probabilities == pytest.approx(before)
    again = preview(site=site, version=version, choices=Choices(recalibration="temperature"), by=boss)
    assert again.correction == Correction.from_dict(active_calibration(site, version).correction)


def test_it_keeps_the_evidence_and_is_in_the_audit_log(site, version, boss, establish):
    labelled_results.results(site, version, 60)
    calibration = establish(rate=0.05)
    assert (calibration.number, calibration.by, calibration.reason) == (1, boss, "Fewer false alarms")
    assert calibration.choices["rate"] == 0.05
    assert calibration.report["scans"] == 60
    assert calibration.report["proposed"]["findings"]["covid19"]["false_alarms"]["value"] <= 0.05
    event = AuditEvent.objects.get(action="calibration.changed")
    assert (event.actor, event.site, event.detail["number"]) == (boss, site, 1)


def test_a_calibration_is_never_changed_or_removed(site, version, establish):
    labelled_results.results(site, version, 60)
    establish()
    for rows in (SiteCalibration.objects.all(), CalibrationChange.objects.all()):
        with pytest.raises(DatabaseError), transaction.atomic():
            rows.update(reason="another")
        with pytest.raises(DatabaseError), transaction.atomic():
            rows._raw_delete("default")


def test_too_few_labels_are_refused(site, version, establish):
    labelled_results.results(site, version, 100, labelled=49)
    with pytest.raises(CodedError) as error:
        establish()
    assert (error.value.code, error.value.status) == ("too_few_labels", 409)
    with pytest.raises(CodedError) as error:
        establish(rule="chosen", thresholds=dict.fromkeys(FINDINGS, 0.5))
    assert error.value.code == "too_few_labels"
    assert not SiteCalibration.objects.exists()


def test_a_prevalence_estimated_without_labels_can_be_set(site, version, establish):
    labelled_results.results(site, version, 300, labelled=0)
    calibration = establish(prevalence="stream", rule="model")
    assert sum(calibration.correction["prevalence"].values()) == pytest.approx(1)
    assert analysed(site).probabilities != OWN


def test_labels_that_came_after_the_preview_are_not_set_unseen(site, version, boss):
    labelled_results.results(site, version, 60)
    asked = {"site": site, "version": version, "choices": Choices(), "by": boss}
    seen = preview(**asked).cases.fingerprint
    labelled_results.results(site, version, 1, seed=2)
    with pytest.raises(CodedError, match="labels have changed since the preview"):
        calibration_set(**asked, reason="x", fingerprint=seen)
    calibration_set(**asked, reason="x", fingerprint=preview(**asked).cases.fingerprint)


def test_what_would_change_nothing_needs_a_reason_or_a_permission_is_refused(site, version, owner, establish):
    labelled_results.results(site, version, 60)
    with pytest.raises(CodedError, match="change nothing"):
        establish(rule="model")
    with pytest.raises(CodedError) as error:
        establish(reason="  ")
    assert error.value.code == "reason_missing"
    for act in (
        lambda **who: calibration_set(choices=Choices(), **who),
        lambda **who: calibration_use(number=None, **who),
    ):
        with pytest.raises(CodedError) as error:
            act(site=site, version=version, by=owner, reason="x")
        assert error.value.code == "forbidden"
