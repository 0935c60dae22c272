from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from tests import factories
from webapp.pages.scan.history import sparklines
from webapp.scans.patients.corrections import scan_move

pytestmark = pytest.mark.django_db


def study_on(patient, day: int):
    at = datetime(2026, 9, day, tzinfo=UTC)
    return factories.StudyFactory(patient=patient, study_date=date(2026, 9, day), study_at=at)


def patient_page(client, patient) -> str:
    return " ".join(client.get(f"/patients/{patient.pk}/").content.decode().split())


def test_scans_stand_newest_first_with_their_findings(finished_analysis, browser, owner, site):
    patient = factories.PatientFactory(site=site, name="ROE^Rita", sex="F", birth_date=date(1950, 2, 1))
    for day, text in ((20, {"covid19": 0.7}), (3, {"normal": 0.9}), (11, {"pneumonia": 0.8})):
        finished_analysis(factories.ScanFactory(site=site, series__study=study_on(patient, day)), **text)
    page = patient_page(browser(owner), patient)
    assert "ROE, Rita" in page
    assert "female · born 1950-02-01" in page
    places = [page.index(f">2026-09-{day}<") for day in ("03", "11", "20")]
    assert places == sorted(places, reverse=True)
    assert "Pneumonia 0.80" in page
    assert page.count("<polyline") == 3


def test_files_that_disagree_about_the_patient_are_shown(browser, owner, site):
    patient = factories.PatientFactory(site=site, sex="F", name="ROE^RITA")
    scans = [
        factories.ScanFactory(site=site, patient=patient, metadata={"PatientSex": sex, "PatientName": name})
        for sex, name in (("F", "ROE^RITA"), ("M", "Roe^Rita^"), ("M", "ROE^RITA"))
    ]
    page = patient_page(browser(owner), patient)
    assert "2 different values for sex" in page
    assert '<b>female</b> <span class="quiet">on record, in 1 image:' in page
    assert '<b>male</b> <span class="quiet">in 2 images:' in page
    assert all(f'href="/scans/{scan.pk}/"' in page for scan in scans)
    assert "different names" not in page, "case and empty parts of a name do not matter"


def test_a_disagreement_is_gone_when_the_image_is_moved(browser, owner, site):
    patient, right = (factories.PatientFactory(site=site, sex=sex) for sex in "FM")
    factories.ScanFactory(site=site, patient=patient, metadata={"PatientSex": "F"})
    wrong = factories.ScanFactory(site=site, patient=patient, metadata={"PatientSex": "M"})
    assert "2 different values for sex" in patient_page(browser(owner), patient)
    scan_move(scan=wrong, patient=right, actor=owner, reason="wrong wristband")
    page = patient_page(browser(owner), patient)
    assert "different sexes" not in page
    assert "An image was moved away to" in page
    assert "wrong wristband" in page
    assert "different sexes" not in patient_page(browser(owner), right)


def test_a_provisional_patient_is_called_new_and_asks_to_be_filed(browser, owner, site):
    patient = factories.PatientFactory(site=site, provisional=True, patient_id="unassigned-1", name="")
    factories.ScanFactory(site=site, patient=patient)
    page = patient_page(browser(owner), patient)
    assert "New patient" in page
    assert "unassigned-1" not in page


def test_a_withheld_result_shows_no_probability(finished_analysis, browser, owner, site):
    scan = factories.ScanFactory(site=site)
    finished_analysis(scan, abstention="out_of_distribution", pneumonia=0.93)
    page = patient_page(browser(owner), scan.patient)
    assert "No result" in page
    assert "0.93" not in page


@pytest.mark.usefixtures("later_in_the_visit")
def test_a_long_history_costs_as_many_queries_as_a_short_one(
    case, finished_analysis, browser, owner, site, django_assert_num_queries, django_assert_max_num_queries
):
    client = browser(owner)
    with django_assert_max_num_queries(13) as short:
        patient_page(client, case.patient)
    for _ in range(5):
        metadata = {"PatientName": "ROE^RITA", "PatientSex": "F"}
        finished_analysis(
            factories.ScanFactory(site=site, patient=case.patient, metadata=metadata), normal=0.9
        )
    with django_assert_num_queries(len(short)):
        patient_page(client, case.patient)


def test_a_sparkline_places_moments_by_real_time():
    moments = [datetime(2026, 9, day, tzinfo=UTC) for day in (1, 2, 11)]
    (line,) = sparklines([(at, {"pneumonia": p}) for at, p in zip(moments, (0.0, 0.5, 1.0), strict=True)])
    (x0, y0), (x1, y1), (x2, y2) = line.dots
    assert (x1 - x0) / (x2 - x0) == pytest.approx(0.1, abs=0.01)
    assert y0 > y1 > y2
    assert sparklines([(moments[0], {"pneumonia": 0.5})]) == []


def test_images_of_one_study_draw_no_trend_and_are_no_prior(case, finished_analysis, browser, owner, site):
    second = factories.ScanFactory(site=site, series__study=case.scan.study)
    finished_analysis(second, pneumonia=0.3)
    page = browser(owner).get(f"/patients/{case.patient.pk}/")
    assert not page.context["trend"].lines
    scan_page = browser(owner).get(f"/scans/{second.pk}/")
    assert scan_page.context["default_comparison"] is None
    assert b"same study" in scan_page.content


def test_the_page_is_newest_first_with_its_signed_readings(case, finished_analysis, browser, owner, site):
    from datetime import UTC, datetime

    from webapp.labels.readings import reading_sign

    older = factories.StudyFactory(patient=case.patient, study_at=datetime(2020, 1, 1, tzinfo=UTC))
    scan = factories.ScanFactory(site=site, series__study=older)
    finished_analysis(scan, normal=0.9)
    reading_sign(study=older, actor=owner, findings=["normal"], comment="")
    entries = browser(owner).get(f"/patients/{case.patient.pk}/").context["entries"]
    assert [entry["id"] for entry in entries] == [case.scan.pk, scan.pk]
    assert [len(entry["readings"]) for entry in entries] == [0, 1]


def test_a_superuser_without_a_site_is_led_to_where_one_is_given(browser, person):
    chief = person("root")
    chief.is_superuser = chief.is_staff = True
    chief.save()
    page = browser(chief).get("/")
    assert page.status_code == 403
    assert f"/admin/accounts/user/{chief.pk}/change/".encode() in page.content
    assert b"Go to worklist" not in page.content
    assert browser(chief).get(f"/admin/accounts/user/{chief.pk}/change/").status_code == 200
