"""The calibration page: its state, the preview, setting and going back; and where other pages name it."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from tests import factories, labelled_results
from tests.labelled_results import FINDINGS
from tests.webapp.pages.conftest import renew
from webapp.analysis.models import Analysis
from webapp.labels.calibration.choices import Choices
from webapp.labels.calibration.services import calibration_set
from webapp.labels.readings import reading_sign
from webapp.registry.calibrations import active_calibration, calibration_use
from webapp.registry.models import SiteCalibration

pytestmark = pytest.mark.django_db
ASK = {"recalibration": "none", "prevalence": "unchanged", "rule": "false_alarm_rate", "rate": "10"}


@pytest.fixture
def boss(person, site):
    return person("boss", role="admin", site=site)


@pytest.fixture
def version(db):
    return factories.make_active(labelled_results.model(status="candidate"))


@pytest.fixture
def where(version) -> str:
    return reverse("pages:calibration", args=[version.pk])


@pytest.fixture
def calibrated(site, version, boss) -> SiteCalibration:
    labelled_results.results(site, version, 60)
    chosen = {"normal": 0.6, "pneumonia": 0.3, "covid19": 0.2}
    choices = Choices(rule="chosen", thresholds=chosen)
    return calibration_set(site=site, version=version, choices=choices, by=boss, reason="Too many alarms")


def result(site, version, calibration=None, patient=None, **probabilities) -> Analysis:
    patient = patient or factories.PatientFactory(site=site)
    shown = dict.fromkeys(FINDINGS, 0.0) | probabilities
    output = {
        "probabilities": {f: round(p / 2, 3) for f, p in shown.items()},
        "finding": "",
        "uncertainty": 0,
    }
    analysis = factories.AnalysisFactory(
        scan=factories.ScanFactory(site=site, patient=patient), model_version=version, status="done",
        probabilities=shown, finding=max(shown, key=shown.__getitem__), uncertainty=0.5,
        calibration=calibration, model_output=output if calibration else None,
    )  # fmt: skip
    renew(analysis.scan)
    return analysis


def text_of(response) -> str:
    return " ".join(response.content.decode().split())


def test_it_says_what_is_in_use_and_what_becomes_of_earlier_results(browser, owner, version, where):
    page = text_of(browser(owner).get(where))
    assert "The model's own calibration" in page
    assert "Earlier results keep the calibration they were made with" in page
    assert "a new version starts with its own" in page


def test_only_who_may_calibrate_sees_the_form(browser, owner, boss, where):
    assert "data-choices" not in text_of(browser(owner).get(where))
    assert "data-choices" in text_of(browser(boss).get(where))
    # The form's addresses do not help either.
    assert 'id="preview"' not in text_of(browser(owner).get(where, ASK))


def test_without_labels_the_page_says_what_is_needed(browser, boss, where):
    page = text_of(browser(boss).get(where))
    assert page.count("50 needed") == 3
    assert "Label consecutive scans, or a random sample" in page
    preview = text_of(browser(boss).get(where, ASK))
    assert "Cannot be set:" in preview
    assert "there are 0" in preview
    assert "Set calibration" not in preview


def test_a_preview_shows_both_operating_points_and_changes_nothing(browser, boss, site, version, where):
    labelled_results.results(site, version, 60)
    page = text_of(browser(boss).get(where, ASK))
    assert page.count('class="current"') >= 3
    assert page.count('class="proposed"') >= 3
    assert "Operating point on 60 labelled scans of 60 patients" in page
    assert page.count("data-curve") == 3
    assert "Set calibration" in page
    assert active_calibration(site, version) is None


def test_wrong_numbers_are_refused_with_the_field(browser, boss, where):
    page = text_of(browser(boss).get(where, ASK | {"rate": "ten"}))
    assert "rate: Must be a number." in page
    page = text_of(browser(boss).get(where, ASK | {"rate": "90"}))
    assert "rate: Must be from 0.001 to 0.5." in page


def test_the_previewed_calibration_is_set_with_a_reason(browser, boss, site, version, where):
    labelled_results.results(site, version, 60)
    client = browser(boss)
    shown = client.get(where, ASK).context
    fields = dict(shown["hidden"]) | {
        "until": shown["found"].until.isoformat(), "fingerprint": shown["found"].cases.fingerprint
    }  # fmt: skip
    address = reverse("pages:calibration_set", args=[version.pk])
    refused = text_of(client.post(address, fields | {"reason": ""}, follow=True))
    assert "A reason is required" in refused
    done = text_of(client.post(address, fields | {"reason": "Fewer false alarms"}, follow=True))
    assert f"New results at {site} use site calibration 1." in done
    assert active_calibration(site, version).thresholds == shown["found"].thresholds
    again = text_of(client.post(address, fields | {"fingerprint": "0", "reason": "x"}, follow=True))
    assert "The labels have changed since the preview" in again


def test_the_models_own_and_earlier_ones_can_be_used_again(browser, boss, site, version, calibrated, where):
    client, address = browser(boss), reverse("pages:calibration_use", args=[version.pk])
    done = text_of(client.post(address, {"number": "", "reason": "Back"}, follow=True))
    assert f"New results at {site} use the model&#x27;s own calibration." in done
    assert active_calibration(site, version) is None
    client.post(address, {"number": "1", "reason": "Again"})
    assert active_calibration(site, version) == calibrated
    assert client.post(address, {"number": "7", "reason": "x"}).status_code == 404
    assert client.post(address, {"number": "one", "reason": "x"}).status_code == 404


@pytest.mark.parametrize("name", ["calibration_set", "calibration_use"])
def test_setting_needs_the_permission_and_the_token_of_the_page(name, browser, owner, boss, version):
    address = reverse(f"pages:{name}", args=[version.pk])
    assert browser(owner).post(address, {"reason": "x"}).status_code == 403
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(boss)
    assert strict.post(address, {"reason": "x"}).status_code == 403
    assert not SiteCalibration.objects.exists()


def test_another_site_neither_sees_nor_uses_it(browser, person, other_site, version, calibrated, where):
    page = text_of(browser(person("eve", role="admin", site=other_site)).get(where))
    assert "The model's own calibration" in page
    assert "Too many alarms" not in page
    assert active_calibration(other_site, version) is None


def test_the_model_and_monitoring_pages_name_it_and_a_new_version_starts_without(
    browser, owner, version, calibrated
):
    client = browser(owner)
    monitoring = reverse("pages:monitoring")
    for page in (reverse("pages:model", args=[version.pk]), monitoring):
        assert "Site calibration 1" in text_of(client.get(page))
    later = factories.make_active(labelled_results.model(status="candidate"))
    for page in (reverse("pages:model", args=[later.pk]), monitoring):
        stated = text_of(client.get(page))
        assert "The model's own calibration" in stated
        assert f"Site calibration 1 was made for {version} and is not carried over." in stated


def test_a_result_names_the_calibration_it_was_made_with(browser, owner, site, version, calibrated):
    client = browser(owner)
    ours = result(site, version, calibrated, pneumonia=0.8, normal=0.2)
    page = text_of(client.get(f"/scans/{ours.scan_id}/"))
    assert "Pneumonia 0.80, above this site&#x27;s threshold 0.30" in page
    assert "site calibration 1 of" in page
    assert "on labelled scans of this site" in page
    own = result(site, version, pneumonia=0.8, normal=0.2)
    page = text_of(client.get(f"/scans/{own.scan_id}/"))
    assert "above this model&#x27;s threshold 0.30" in page
    assert "the model&#x27;s own" in page


def test_the_report_names_it_too(browser, owner, site, version, calibrated):
    ours = result(site, version, calibrated, pneumonia=0.8, normal=0.2)
    page = text_of(browser(owner).get(f"/scans/{ours.scan_id}/report/"))
    assert "<dt>Calibration</dt><dd>site calibration 1 of" in page
    assert "Site threshold" in page
    assert "Model threshold" not in page


def test_a_signed_reading_keeps_it(site, owner, version, calibrated):
    ours = result(site, version, calibrated, pneumonia=0.8)
    reading = reading_sign(study=ours.scan.study, actor=owner, findings=["pneumonia"])
    assert reading.evidence[0]["calibration"] == "site-1"


def test_scans_calibrated_differently_are_compared_by_the_models_own(
    browser, owner, boss, site, version, calibrated
):
    patient = factories.PatientFactory(site=site)
    calibration_use(site=site, version=version, number=None, by=boss, reason="x")
    new = result(site, version, patient=patient, pneumonia=0.7, normal=0.3)
    old = result(site, version, calibrated, patient=patient, pneumonia=0.8, normal=0.2)
    page = text_of(browser(owner).get(f"/scans/{old.scan_id}/compare/{new.scan_id}/"))
    assert "The scans were calibrated differently: these are the model's own probabilities." in page
    comparison = page[page.index('class="comparison"') :]
    assert comparison.index("0.40") < comparison.index("0.70")
    listed = text_of(browser(owner).get(f"/patients/{patient.pk}/"))
    assert f"{version}, site calibration 1 of" in listed
