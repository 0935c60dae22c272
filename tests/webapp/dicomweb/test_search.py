"""QIDO-RS: matching, included attributes, pages, and what a user may see."""

from __future__ import annotations

import pytest
from django.test import Client

from tests.factories import PatientFactory, ScanFactory
from tests.webapp.dicom.objects import radiograph
from tests.webapp.dicomweb.conftest import filed

pytestmark = pytest.mark.django_db


def found(client, address="studies", tag="00100020", **query) -> list:
    response = client.get(f"/dicomweb/{address}", query)
    assert response.status_code == 200, response.content
    return [one[tag].get("Value", [None])[0] for one in response.json()]


@pytest.fixture
def patients(stored):
    """Three patients, a study each on consecutive days."""
    scans = [
        stored(PatientID="A1", PatientName="Müller^Zoë", AccessionNumber="X-1"),
        stored(PatientID="A2", PatientName="MULLER^Jan", AccessionNumber="X-2"),
        stored(PatientID="B1", PatientName="DOE^Jane", AccessionNumber="Y-1", Modality="CR"),
    ]
    for day, scan in enumerate(scans, start=1):
        study = scan.study
        study.study_date = study.study_date.replace(day=day)
        study.study_at = study.study_at.replace(day=day)
        study.save()
    return scans


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, ["B1", "A2", "A1"]),
        ({"PatientID": "A1"}, ["A1"]),
        ({"00100020": "A*"}, ["A2", "A1"]),
        ({"PatientID": "a1"}, []),
        ({"PatientName": "doe^jane"}, ["B1"]),
        ({"PatientName": "DOE*"}, ["B1"]),
        ({"PatientName": "jane"}, []),
        ({"PatientName": "D?E^*"}, ["B1"]),
        ({"PatientName": "jane", "fuzzymatching": "true"}, ["B1"]),
        ({"PatientName": "muller", "fuzzymatching": "true"}, ["A2", "A1"]),
        ({"PatientName": "zoe mull", "fuzzymatching": "true"}, ["A1"]),
        ({"AccessionNumber": "X-?"}, ["A2", "A1"]),
        ({"AccessionNumber": "X.1"}, []),
        ({"StudyDate": "20261102"}, ["A2"]),
        ({"StudyDate": "20261102-"}, ["B1", "A2"]),
        ({"StudyDate": "-20261102"}, ["A2", "A1"]),
        ({"StudyDate": "20261101-20261102"}, ["A2", "A1"]),
        ({"ModalitiesInStudy": "CR"}, ["B1"]),
        ({"limit": "2"}, ["B1", "A2"]),
        ({"limit": "2", "offset": "2"}, ["A1"]),
    ],
)
def test_studies_match(client, patients, query, expected):
    assert found(client, **query) == expected


def test_a_list_of_uids_matches_each(client, patients):
    uids = [scan.study.study_instance_uid for scan in patients]
    assert found(client, StudyInstanceUID=",".join(uids[:2])) == ["A2", "A1"]


def test_series_and_instances_of_all_studies_have_the_attributes_above_them(client, patients):
    assert found(client, "series", Modality="CR") == ["B1"]
    assert found(client, "instances", Modality="DX") == ["A2", "A1"]
    uid = patients[1].sop_instance_uid
    assert found(client, "instances", SOPInstanceUID=uid) == ["A2"]
    address = f"studies/{patients[1].study.study_instance_uid}/instances"
    assert found(client, address, "00080018") == [uid]


def test_attributes_are_included_on_request(client, stored):
    stored(StudyDescription="Chest PA")
    assert "00081030" not in client.get("/dicomweb/studies").json()[0]
    for name in ("StudyDescription", "00081030", "all"):
        [study] = client.get("/dicomweb/studies", {"includefield": name}).json()
        assert study["00081030"]["Value"] == ["Chest PA"]


def test_more_results_and_unmatched_attributes_are_stated(client, patients):
    response = client.get("/dicomweb/studies", {"limit": "1", "ReferringPhysicianName": "X"})
    assert "offset=1" in response["Warning"]
    assert "ReferringPhysicianName" in response["Warning"]


@pytest.mark.parametrize(
    "query",
    [
        {"NoSuchAttribute": "1"},
        {"StudyDate": "yesterday"},
        {"limit": "-1"},
        {"fuzzymatching": "perhaps"},
        {"StudyDate": "-"},
    ],
)
def test_what_cannot_be_searched_for_is_named(client, query):
    response = client.get("/dicomweb/studies", query)
    assert (response.status_code, list(response.json()["errors"])) == (400, list(query))


def test_an_image_that_came_as_png_is_no_instance(client, site):
    ScanFactory(site=site, patient=PatientFactory(site=site))
    assert found(client) == []


def test_of_two_images_with_one_uid_the_later_is_the_instance(client, stored):
    first = stored()
    image = {name: getattr(first, name) for name in ("sop_instance_uid",)}
    later = stored(
        SOPInstanceUID=image["sop_instance_uid"],
        StudyInstanceUID=first.study.study_instance_uid,
        SeriesInstanceUID=first.series.series_instance_uid,
        PatientComments="other",
    )
    [instance] = client.get("/dicomweb/instances").json()
    assert instance["00080018"]["Value"] == [later.sop_instance_uid]
    [metadata] = client.get(f"/dicomweb/studies/{later.study.study_instance_uid}/metadata").json()
    assert metadata["00104000"]["Value"] == ["other"]


def test_a_teammate_sees_what_an_outsider_does_not(client_of, teammate, outsider, site, other_site, stored):
    scan = stored()
    address = f"/dicomweb/studies/{scan.study.study_instance_uid}"
    mate, foreign = client_of(teammate, site), client_of(outsider, other_site)
    assert len(found(mate)) == 1
    assert found(foreign) == []
    for path in ("", "/metadata", f"/series/{scan.series.series_instance_uid}"):
        assert foreign.get(address + path).status_code == 404
        assert mate.get(address + path).status_code == 200
    assert Client().get(address).status_code == 401
    assert Client().get("/dicomweb/studies").json()["code"] == "unauthenticated"


def test_a_session_may_read_and_not_store(owner, stored):
    browser = Client()
    browser.force_login(owner)
    stored()
    assert len(browser.get("/dicomweb/studies").json()) == 1
    assert browser.post("/dicomweb/studies", b"", content_type="multipart/related").status_code == 401


def test_a_token_without_the_scope_gets_its_name(client_of, owner, site, stored):
    reader, writer = client_of(owner, site, ["scan.view"]), client_of(owner, site, ["scan.upload"])
    assert writer.get("/dicomweb/studies").json()["permission"] == "scan.view"
    refused = reader.post("/dicomweb/studies", b"", content_type="multipart/related")
    assert (refused.status_code, refused.json()["code"]) == (403, "insufficient_scope")


def test_a_search_takes_as_many_queries_for_many_studies_as_for_few(
    client, site, django_assert_max_num_queries
):
    for _ in range(12):
        filed(radiograph(PatientID="P1"), site)
    with django_assert_max_num_queries(12):
        assert len(found(client, "instances")) == 12
