"""Manifests on the upload page: read by the server, shown before anything is uploaded."""

from __future__ import annotations

import json
import unicodedata

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from webapp.audit.models import AuditEvent

pytestmark = pytest.mark.django_db
WHERE = "/upload/manifest/"


@pytest.fixture
def read(browser, owner):
    client = browser(owner)

    def send(text: str | bytes, *, status: int = 200, **more):
        data = text.encode() if isinstance(text, str) else text
        fields = {"table": SimpleUploadedFile("list.csv", data), **more}
        response = client.post(WHERE, fields, headers={"accept": "application/json"})
        assert response.status_code == status
        return response.json()

    return send


def test_each_row_states_patient_date_and_values_of_its_image(read):
    text = "Filename;PatientID;Date;View;Sex;Age\na.png;7;5.3.2024;PA;f;64\nb.png;8;;;;\n"
    assert read(text)["lines"] == [
        {"number": 2, "image": "a.png", "patient": "7", "date": "2024-03-05", "offset": None}
        | {"view": "PA", "sex": "f", "age": "64"},
        {"number": 3, "image": "b.png", "patient": "8", "date": "", "offset": None}
        | {"view": "", "sex": "", "age": ""},
    ]


def test_the_first_rows_are_shown_with_how_the_file_was_read(read):
    rows = "".join(f"{n}.png\t<b>P{n}</b>\n" for n in range(7))
    preview = read(f"image\tpatient\n{rows}".encode("utf-16"))["preview"]
    assert "7 rows, UTF-16, separated by tab" in preview
    assert "&lt;b&gt;P4&lt;/b&gt;" in preview
    assert "P5" not in preview


def test_what_is_wrong_is_shown_with_line_column_and_value_and_the_other_rows_are_used(read):
    text = 'image,patient,sex,date\na.png,P1,dog,soon\nb.png,P2,F,2024-03-05\n"c.png,P3,F,\nd.png,P4,cat,\n'
    found = read(text)
    assert [line["image"] for line in found["lines"]] == ["b.png"]
    cells = "".join(found["preview"].split())
    for line, column, value in (("2", "study_date", "soon"), ("2", "sex", "dog"), ("5", "sex", "cat")):
        assert f'<tdclass="number">{line}</td><td>{column}</td><td>{value}</td>' in cells
    assert "thequotationmarkisnotclosed" in cells
    assert "3rowsarenotused" in cells


def test_the_order_of_dates_is_asked_once_for_a_site(read, site):
    text = "image,patient,date\na.png,P1,05/03/2024\n"
    first = read(text)
    assert (first["unclear"], first["lines"]) == (True, [])
    assert read(text, date_order="dmy")["lines"][0]["date"] == "2024-03-05"
    site.refresh_from_db()
    assert site.date_order == "dmy"
    assert AuditEvent.objects.filter(action="site.date_order_set", detail={"order": "dmy"}).count() == 1
    assert read(text)["lines"][0]["date"] == "2024-03-05"
    assert read(text, date_order="mdy")["lines"][0]["date"] == "2024-05-03", "for this file"
    site.refresh_from_db()
    assert site.date_order == "dmy"


def test_names_of_dropped_files_settle_a_legacy_encoding(read):
    data = "image;patient\nΩμέγα.png;P1\n".encode("cp1253")
    assert "guess" in read(data)["preview"]
    names = json.dumps([unicodedata.normalize("NFD", "ward/Ωμέγα.png")])
    found = read(data, names=names)
    assert found["lines"][0]["image"] == "Ωμέγα.png"
    assert "guess" not in found["preview"]
    assert read(data, encoding="cp1253")["lines"][0]["image"] == "Ωμέγα.png"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name,value\n1,2\n", "list.csv: missing column image, patient (columns found: name, value)"),
        (b"PK\x03\x04", "list.csv is an Excel or OpenDocument workbook: save it as CSV"),
        ("", "empty"),
    ],
)
def test_what_is_no_manifest_is_refused_with_the_reason(read, text, words):
    problem = read(text, status=400)
    assert words in problem["detail"]
    assert problem["remedy"]


def test_who_may_not_upload_reads_no_manifest(browser, person, site):
    auditor = browser(person("audrey", role="auditor", site=site))
    response = auditor.post(WHERE, {"table": SimpleUploadedFile("list.csv", b"image,patient\n")})
    assert response.status_code in (403, 404)
