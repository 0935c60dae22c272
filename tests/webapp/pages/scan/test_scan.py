from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.utils import timezone

from tests import factories
from tests.webapp.pages.conftest import renew
from webapp.analysis.models import Analysis
from webapp.pages.scan.evidence import notes_of
from webapp.scans.models import Patient, Upload
from webapp.scans.patients.pseudonymity import known_as

pytestmark = pytest.mark.django_db


def text_of(response) -> str:
    return " ".join(response.content.decode().split())


def scan_page(client, scan) -> str:
    return text_of(client.get(f"/scans/{scan.pk}/"))


def test_the_result_is_a_sentence_with_number_and_threshold(case, browser, owner):
    page = scan_page(browser(owner), case.scan)
    assert "Pneumonia 0.82, above this model&#x27;s threshold 0.55" in page
    assert "positive" not in page
    assert "diagnosis" not in page


def test_nothing_above_its_threshold_is_stated_as_such(case, finished_analysis, browser, owner, site):
    scan = factories.ScanFactory(site=site)
    finished_analysis(scan, pneumonia=0.41, covid19=0.2, normal=0.39)
    page = scan_page(browser(owner), scan)
    assert "No finding above its threshold: Pneumonia 0.41, threshold 0.55" in page


def with_set(analysis, *findings):
    analysis.prediction_set = {"findings": findings, "coverage": 0.9}
    analysis.save()
    return analysis


def test_where_one_finding_cannot_be_stated_the_set_is_the_result(
    case, finished_analysis, browser, owner, site
):
    scan = factories.ScanFactory(site=site)
    with_set(finished_analysis(scan, pneumonia=0.45, covid19=0.46), "covid19", "pneumonia")
    page = scan_page(browser(owner), scan)
    assert "COVID-19 or pneumonia (90 % coverage), no finding above its threshold" in page
    assert "Prediction set: COVID-19 or pneumonia (90 % coverage)." in page


def test_a_set_of_several_findings_is_shown_with_the_reported_one(case, browser, owner):
    analysis = with_set(case.scan.analyses.get(), "pneumonia", "covid19")
    page = scan_page(browser(owner), case.scan)
    assert "Pneumonia 0.82, above" in page
    assert "Prediction set: Pneumonia or COVID-19 (90 % coverage)." in page
    with_set(analysis, "pneumonia")
    assert "Prediction set" not in scan_page(browser(owner), case.scan)


def test_the_page_states_whether_probabilities_are_calibrated(case, finished_analysis, browser, owner, site):
    assert "Calibrated probabilities" in scan_page(browser(owner), case.scan)
    raw = factories.ModelVersionFactory(slot="ct")
    scan = factories.ScanFactory(site=site, slot="ct")
    finished_analysis(scan, version=raw, pneumonia=0.9)
    assert "Uncalibrated" in scan_page(browser(owner), scan)


def test_the_reported_finding_reports_what_its_threshold_was_worth(case, model, browser, owner):
    assert "sensitivity" not in scan_page(browser(owner), case.scan)
    model.card = {"calibration": {"thresholds": {"pneumonia": {"sensitivity": 0.9, "specificity": 0.81}}}}
    model.save()
    page = scan_page(browser(owner), case.scan)
    assert "Pneumonia at its threshold: sensitivity 0.90, specificity 0.81 on validation data." in page


def test_the_result_comes_with_where_the_model_fell_short(case, model, browser, owner):
    page = scan_page(browser(owner), case.scan)
    assert "The model card has no test of this result outside the origins of the training data." in page
    shares = {"false_alarms": {"value": 0.262, "low": 0.2, "high": 0.32}, "sensitivity": {"value": 0.564}}
    row = {"origin": "nih", "finding": "any_finding", "images": 1000, **shares}
    model.card = {"about": {"elsewhere": [row]}}
    model.save()
    page = scan_page(browser(owner), case.scan)
    assert "it reported a finding on 26 % of normal images (nih)" in page
    assert "it detected 56 % of images with a finding (nih)" in page


def test_a_withheld_result_states_no_figures_of_the_model(finished_analysis, browser, owner, site):
    scan = factories.ScanFactory(site=site)
    finished_analysis(scan, abstention="other_abnormality", pneumonia=0.9)
    assert "the origins of the training data" not in scan_page(browser(owner), scan)


def test_the_map_travels_with_geometry_and_scale(case, browser, owner):
    page = browser(owner).get(f"/scans/{case.scan.pk}/").content.decode()
    cam = json.loads(page.split('<script id="cam" type="application/json">')[1].split("</script>")[0])
    assert cam == factories.cam().as_dict() | {"affine": list(factories.cam().affine)}


def test_an_abstention_takes_the_place_of_the_result_and_shows_no_map(
    finished_analysis, browser, owner, site
):
    scan = factories.ScanFactory(site=site)
    finished_analysis(scan, abstention="lateral_view", pneumonia=0.9)
    page = scan_page(browser(owner), scan)
    assert "No result: this looks like a lateral view." in page
    assert "Upload the frontal view, or label it manually." in page
    assert "lateral_view" in page
    assert "above this model" not in page
    assert 'id="cam"' not in page


def test_an_abnormality_that_the_model_does_not_know_takes_the_place_of_the_result(
    finished_analysis, browser, owner, site
):
    scan = factories.ScanFactory(site=site)
    finished_analysis(scan, abstention="other_abnormality", pneumonia=0.9)
    page = scan_page(browser(owner), scan)
    assert "No result: the image may show an abnormality that the model does not know." in page
    assert "Read it without the model." in page
    assert "above this model" not in page


def test_a_scan_without_a_model_waits_and_states_for_what(browser, owner, site):
    scan = factories.ScanFactory(site=site, slot="ct")
    page = scan_page(browser(owner), scan)
    assert "Waiting: no model is active for this kind of image." in page


def test_a_file_that_is_being_read_has_its_page_already(browser, owner, site):
    upload = factories.UploadFactory(site=site, user=owner, status=Upload.Status.RECEIVED)
    page = scan_page(browser(owner), upload)
    assert "Queued" in page
    assert 'data-pending="1"' in page


def test_a_refused_file_states_why_and_what_to_do(browser, owner, site):
    upload = factories.UploadFactory(site=site, user=owner, status="refused", refusal="undecodable")
    page = scan_page(browser(owner), upload)
    assert "Refused: the image is damaged" in page
    assert "Export the file again" in page
    assert 'data-pending="0"' in page


def test_a_failed_analysis_is_tried_again_from_the_page(browser, owner, site, model):
    scan = factories.ScanFactory(site=site)
    failed = factories.AnalysisFactory(scan=scan, model_version=model, status="failed", error_code="gave_up")
    client = browser(owner)
    page = scan_page(client, scan)
    assert "Analysis failed" in page
    assert "gave_up" in page
    assert f'action="/scans/{scan.pk}/retry/"' in page
    client.post(f"/scans/{scan.pk}/retry/")
    failed.refresh_from_db()
    assert failed.status == Analysis.Status.QUEUED
    assert "Analysing" in text_of(client.get(f"/scans/{scan.pk}/state/"))


def test_what_a_reader_should_know_of_the_file_is_stated(browser, owner, site):
    earlier = factories.ScanFactory(site=site)
    scan = factories.ScanFactory(
        site=site,
        synthetic=True,
        polarity_turned=True,
        duplicate_of=earlier,
        notes={"stated_differs": {"PatientID": ["A-1", "B-2"]}},
    )
    page = scan_page(browser(owner), scan)
    assert "Simulated image" in page
    assert "stored as a negative" in page
    assert "same image was uploaded before" in page
    assert "patient ID: A-1 / B-2" in page


def test_earlier_results_of_other_models_are_listed(case, finished_analysis, browser, owner):
    candidate = factories.ModelVersionFactory(status="candidate", number=900)
    finished_analysis(case.scan, version=candidate, covid19=0.7)
    page = scan_page(browser(owner), case.scan)
    assert "1 other analysis" in page
    assert f"/models/{candidate.pk}/" in page


def test_priors_of_the_same_patient_stand_with_the_image(case, finished_analysis, browser, owner, site):
    prior = factories.ScanFactory(site=site, patient=case.patient)
    foreign = factories.ScanFactory(site=site)
    finished_analysis(prior, normal=0.8)
    page = scan_page(browser(owner), case.scan)
    assert f"/media/{prior.pk}/thumbnail/" in page
    assert f"/media/{foreign.pk}/" not in page


def test_previous_and_next_follow_the_worklist_as_it_is_filtered(
    case, finished_analysis, browser, owner, site
):
    now = timezone.now()
    scans = [factories.ScanFactory(site=site, received_at=now + timedelta(hours=h)) for h in (1, 2, 3)]
    for scan, finding in zip(scans, ("pneumonia", "normal", "pneumonia"), strict=True):
        finished_analysis(scan, **{finding: 0.9})
    client = browser(owner)
    last = {"next": f"/scans/{case.scan.pk}/", "prefetch": f"/media/{case.scan.pk}/pixels/"}
    state = client.get(f"/scans/{scans[0].pk}/").context["neighbours"]
    assert state == {"previous": f"/scans/{scans[1].pk}/", **last}
    client.post("/", {"finding": "pneumonia"})
    state = client.get(f"/scans/{scans[0].pk}/").context["neighbours"]
    assert state == {"previous": f"/scans/{scans[2].pk}/", **last}
    assert "prefetch" not in client.get(f"/scans/{case.scan.pk}/").context["neighbours"], "it is the last"


def test_a_scan_is_moved_to_another_patient_with_a_reason(case, browser, person, site):
    client = browser(person("boss", role="admin", site=site))
    client.post(f"/scans/{case.scan.pk}/move/", {"patient_id": "P-77", "reason": ""})
    case.scan.refresh_from_db()
    assert case.scan.patient == case.patient
    reply = client.post(
        f"/scans/{case.scan.pk}/move/",
        {"patient_id": "P-77", "reason": "swapped at the desk", "new": "1"},
        follow=True,
    )
    assert "Scan moved to P-77" in text_of(reply)
    case.scan = type(case.scan).objects.get(pk=case.scan.pk)
    assert case.scan.patient.patient_id == "P-77"


def test_a_mistyped_patient_is_not_made(case, browser, person, site):
    client = browser(person("boss", role="admin", site=site))
    mistyped = {"patient_id": "P-4Z", "reason": "swapped at the desk"}
    reply = client.post(f"/scans/{case.scan.pk}/move/", mistyped, follow=True)
    assert "no patient at this site has that ID" in text_of(reply)
    assert not Patient.objects.filter(patient_id="P-4Z").exists()
    meant = factories.PatientFactory(site=site, patient_id="P-43", name="ROE^R", issuer="north")
    client.post(f"/scans/{case.scan.pk}/move/", mistyped | {"patient_id": "P-43"})
    assert type(case.scan).objects.get(pk=case.scan.pk).patient == meant


def test_the_dialog_can_ask_who_an_identifier_is(case, browser, owner):
    where, asked = f"/scans/{case.scan.pk}/patients/", {"ids": ["P-42", "P-4Z"]}
    reply = browser(owner).post(where, asked, content_type="application/json")
    assert reply.json() == {"patients": {"P-42": {"label": "DOE, Jane", "facts": "P-42", "studies": 1}}}


@pytest.mark.usefixtures("later_in_the_visit")
def test_a_page_with_many_priors_costs_as_many_queries_as_one_without(
    case, finished_analysis, browser, owner, site, django_assert_num_queries, django_assert_max_num_queries
):
    client = browser(owner)
    with django_assert_max_num_queries(20) as few:
        client.get(f"/scans/{case.scan.pk}/")
    for _ in range(6):
        finished_analysis(factories.ScanFactory(site=site, patient=case.patient), normal=0.9)
    renew(case.scan)
    with django_assert_num_queries(len(few)):
        client.get(f"/scans/{case.scan.pk}/")


@pytest.mark.parametrize(
    ("found", "text"),
    [("declared", "The DICOM header declares burned-in text"), ("suspected", "Burned-in text detected")],
)
def test_writing_in_the_image_is_reported(found, text, browser, owner, site):
    scan = factories.ScanFactory(site=site, notes={"burned_in": {"found": found}})
    assert text in scan_page(browser(owner), scan)


def test_a_scan_is_moved_under_the_pseudonym_of_the_identifier_that_was_typed(case, browser, person, site):
    site.deidentify_on_ingest = True
    site.save()
    admin = person("mover", role="admin", site=site)
    form = {"patient_id": "P-7", "reason": "filed to the wrong one", "new": "1"}
    browser(admin).post(f"/scans/{case.scan.pk}/move/", form)
    case.scan.refresh_from_db()
    assert case.scan.patient.patient_id == known_as(site, "P-7")


def test_the_share_inside_the_lungs_is_reported_for_the_finding_that_it_was_measured_for(
    case, browser, owner
):
    stored = case.analysis.stored_cam
    stored.cam |= {"inside_lungs": 0.714}
    stored.save()
    reported = '<span data-inside="pneumonia"><span data-inside-share>71</span> % inside the lungs.</span>'
    assert reported in scan_page(browser(owner), case.scan)


@pytest.mark.parametrize(
    ("note", "text"),
    [
        ({"turned": {"stored": "R\\F", "transposed": False}}, "PatientOrientation R\\F"),
        ({"square_pixels": {"rows": 300, "columns": 600}}, "resampled to square pixels"),
        ({"age_unreadable": {"PatientAge": "old"}}, "PatientAge “old”"),
        ({"end_marker_missing": {}}, "lacks its end marker"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_was_corrected_on_reading_is_stated(site, note, text):
    assert any(text in sentence for sentence in notes_of(factories.ScanFactory(site=site, notes=note)))
