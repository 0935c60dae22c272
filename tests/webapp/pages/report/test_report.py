"""The reading form, the report as page, image and PDF, and the ways in from a PACS."""

from __future__ import annotations

import io
import uuid

import numpy as np
import pytest
from django.urls import reverse
from PIL import Image

from tests import factories
from tests.webapp.pages.conftest import renew
from webapp.audit.models import AuditEvent
from webapp.core import storage
from webapp.labels.marks.services import mark_add, mark_delete
from webapp.labels.models import Reading
from webapp.labels.readings import reading_sign

pytestmark = pytest.mark.django_db


def text_of(response) -> str:
    return " ".join(response.content.decode().split())


@pytest.fixture
def imaged(case, settings):
    """The case with a 16-bit display image whose left half is dark."""
    levels = np.zeros((512, 512), np.uint16)
    levels[:, 256:] = 4095
    draft = settings.HILUM_DATA / "incoming" / f"{case.scan.pk}-display.png"
    draft.parent.mkdir(exist_ok=True, parents=True)
    Image.fromarray(levels).save(draft)
    storage.put_file(draft, case.scan.display_name)
    return case


def sign(client, case, **text):
    return client.post(reverse("pages:reading_sign", args=[case.scan.pk]), text, follow=True)


def test_a_reading_is_signed_from_the_page_and_shown_on_it(case, browser, owner, teammate):
    page = text_of(sign(browser(owner), case, finding=["pneumonia"], comment="Right <b>base</b>."))
    assert "Reading signed." in page
    assert "Right &lt;b&gt;base&lt;/b&gt;." in page
    assert "Correct my reading" in page
    seen = text_of(browser(teammate).get(f"/scans/{case.scan.pk}/"))
    assert "Right &lt;b&gt;base" in seen
    assert "My reading" in seen


def test_a_page_out_of_date_signs_nothing_and_states_so(case, browser, owner):
    client = browser(owner)
    sign(client, case, finding=["pneumonia"])
    again = client.post(reverse("pages:reading_sign", args=[case.scan.pk]), {"finding": "normal"})
    assert again.status_code == 409
    assert Reading.objects.count() == 1


def test_an_outsider_finds_no_scan_to_read_or_to_report(case, browser, outsider):
    client = browser(outsider)
    assert client.post(reverse("pages:reading_sign", args=[case.scan.pk])).status_code == 404
    for name in ("report", "report_pdf", "report_image"):
        assert client.get(reverse(f"pages:{name}", args=[case.scan.pk])).status_code == 404
    assert client.get(reverse("pages:study", args=[case.scan.study.pk])).status_code == 404


def test_a_report_states_whose_what_by_which_model_and_who_read_it(case, browser, owner, model):
    reading = reading_sign(study=case.scan.study, actor=owner, findings=["pneumonia"], comment="Base.")
    page = text_of(browser(owner).get(reverse("pages:report", args=[case.scan.pk])))
    for stated in ("DOE, Jane", "P-42", "0.82", "0.55", model.sha256, "Base.", reading.sha256, "owner"):
        assert stated in page
    assert "not a medical device" in page
    assert AuditEvent.objects.get(action="report.made").subject == f"scans.scan:{case.scan.pk}"


def test_a_report_states_a_set_of_several_findings(imaged, browser, owner):
    from pypdf import PdfReader

    analysis = imaged.scan.analyses.get()
    analysis.prediction_set = {"findings": ["pneumonia", "covid19"], "coverage": 0.9}
    analysis.save()
    page = text_of(browser(owner).get(reverse("pages:report", args=[imaged.scan.pk])))
    assert "Prediction set: Pneumonia or COVID-19 (90 % coverage)" in page
    pdf = browser(owner).get(reverse("pages:report_pdf", args=[imaged.scan.pk])).content
    text = " ".join(page.extract_text() for page in PdfReader(io.BytesIO(pdf)).pages)
    assert "Prediction set: Pneumonia or COVID-19 (90 % coverage)" in text


def test_a_superseded_reading_is_not_reported(case, browser, owner):
    first = reading_sign(study=case.scan.study, actor=owner, findings=["pneumonia"], comment="First.")
    reading_sign(study=case.scan.study, actor=owner, findings=["normal"], comment="Then.", after=first.pk)
    page = text_of(browser(owner).get(reverse("pages:report", args=[case.scan.pk])))
    assert "Then." in page
    assert "First." not in page


def test_a_withheld_result_is_not_in_the_report(site, finished_analysis, browser, owner):
    scan = factories.ScanFactory(site=site)
    finished_analysis(scan, abstention="lateral_view", pneumonia=0.91)
    page = text_of(browser(owner).get(reverse("pages:report", args=[scan.pk])))
    assert "this looks like a lateral view" in page
    assert "0.91" not in page


def test_the_reports_image_stands_with_itself_under_its_map(imaged, browser, owner):
    response = browser(owner).get(reverse("pages:report_image", args=[imaged.scan.pk]))
    with Image.open(io.BytesIO(response.content)) as image:
        pixels = np.asarray(image).astype(int)
    alone, under = pixels[:, :512], pixels[:, 524:]
    assert alone[256, 100].tolist() == [0, 0, 0]
    assert alone[256, 400].tolist() == [255, 255, 255]
    # The map of the fixture: 1 at the top right, -1 at the bottom left, on a scale of 2.
    assert under[500, 10].tolist() == [0, 0, 0], "negative contributions are not coloured"
    assert under[60, 450].tolist() != [255, 255, 255]
    assert "no-store" in response["Cache-Control"]


def test_a_report_frames_what_the_model_was_shown_and_states_so(imaged, browser, owner):
    address = reverse("pages:report", args=[imaged.scan.pk])
    assert "The frame holds" not in text_of(browser(owner).get(address))
    stored = imaged.analysis.stored_cam
    stored.cam |= {"affine": [128.0, 0.0, 191.5, 0.0, 128.0, 191.5]}
    stored.save()
    assert "The frame marks the area the model analysed." in text_of(browser(owner).get(address))
    response = browser(owner).get(reverse("pages:report_image", args=[imaged.scan.pk]))
    with Image.open(io.BytesIO(response.content)) as image:
        under = np.asarray(image)[:, 524:]
    assert under[128, 128].tolist() == [187, 187, 187]
    assert under[127, 127].tolist() == [0, 0, 0]


def test_a_pdf_is_made_with_text_that_can_be_found_and_letters_of_other_alphabets(imaged, browser, owner):
    from pypdf import PdfReader

    imaged.patient.name, imaged.patient.sex = "ĐORĐEVIĆ^Ωμέγα", "F"
    imaged.patient.save()
    reading_sign(study=imaged.scan.study, actor=owner, findings=["other"], comment="<Ж> & more\nline")
    response = browser(owner).get(reverse("pages:report_pdf", args=[imaged.scan.pk]))
    assert response["Content-Type"] == "application/pdf"
    assert "ORĐEVIĆ" not in response["Content-Disposition"]
    pages = PdfReader(io.BytesIO(response.content)).pages
    text = " ".join(page.extract_text() for page in pages)
    for stated in ("ĐORĐEVIĆ, Ωμέγα", "female", "P-42", "Pneumonia", "0.82", "<Ж> & more"):
        assert stated in text
    assert all("not a medical device" in page.extract_text() for page in pages)
    assert sum(len(page.images) for page in pages) == 1


@pytest.mark.parametrize(
    ("name", "shown", "comment", "font"),
    [
        ("王^小明", "王, 小明", "右下肺野有浸润影。", "STSong-Light"),
        ("山田^太郎", "山田, 太郎", "右下肺野に浸潤影を認める。", "HeiseiMin-W3"),
        ("김^철수", "김, 철수", "우하엽에 침윤이 있음.", "HYSMyeongJo-Medium"),
    ],
)
def test_names_and_comments_of_east_asia_are_letters_not_boxes(
    imaged, browser, owner, name, shown, comment, font
):
    from pypdf import PdfReader

    imaged.patient.name, owner.first_name, owner.last_name = name, name[-2:], name[0]
    imaged.patient.save()
    owner.save()
    reading_sign(study=imaged.scan.study, actor=owner, findings=["other"], comment=f"{comment} * 30" * 30)
    response = browser(owner).get(reverse("pages:report_pdf", args=[imaged.scan.pk]))
    pages = PdfReader(io.BytesIO(response.content)).pages
    text = "".join("".join(page.extract_text() for page in pages).split())
    assert shown.replace(" ", "") in text
    assert comment.replace(" ", "") in text
    assert f"GeneratedwithHilumby{name[-2:]}{name[0]}," in text, "the foot too"
    fonts = {str(f.get_object()["/BaseFont"]) for page in pages for f in page["/Resources"]["/Font"].values()}
    assert any(font in one for one in fonts)


def test_a_report_without_its_image_states_what_is_missing(case, browser, owner):
    reply = browser(owner).get(reverse("pages:report_pdf", args=[case.scan.pk]))
    assert reply.status_code == 503
    assert b"missing from storage" in reply.content


def test_a_waiting_scan_has_a_report_too(site, browser, owner):
    scan = factories.ScanFactory(site=site, slot="ct")
    renew(scan)
    assert "No model is active" in browser(owner).get(
        reverse("pages:report", args=[scan.pk])
    ).content.decode().replace("no model", "No model")


@pytest.fixture
def numbered(case):
    study = case.scan.study
    study.accession_number = "ACC-7"
    study.save()
    return study


@pytest.mark.parametrize("by", ["accession_number", "study_instance_uid"])
def test_a_study_is_opened_by_what_the_pacs_knows_of_it(numbered, case, browser, owner, by):
    asked = {by: getattr(numbered, by)}
    found = browser(owner).post("/open/", asked, follow=True)
    assert found.redirect_chain == [(f"/studies/{numbered.pk}/", 302), (f"/scans/{case.scan.pk}/", 302)]


@pytest.mark.parametrize("asked", [{"accession_number": "ACC-8"}, {}, {"accession_number": "ACC"}])
def test_what_is_not_there_is_stated(numbered, browser, owner, asked):
    reply = browser(owner).post("/open/", asked)
    assert reply.status_code == 404
    assert b"may not have arrived yet" in reply.content


def test_an_outsider_opens_nothing_by_its_number(numbered, browser, outsider):
    assert browser(outsider).post("/open/", {"accession_number": "ACC-7"}).status_code == 404


def test_several_studies_of_one_number_are_offered(numbered, site, browser, owner):
    other = factories.ScanFactory(site=site)
    other.study.accession_number = "ACC-7"
    other.study.save()
    page = text_of(browser(owner).post("/open/", {"accession_number": "ACC-7"}))
    assert f"/studies/{numbered.pk}/" in page
    assert f"/studies/{other.study.pk}/" in page


def test_a_study_that_never_was_is_not_found(browser, owner):
    assert browser(owner).get(f"/studies/{uuid.uuid4()}/").status_code == 404


def test_the_report_lists_the_saved_marks_and_says_where_millimetres_hold(imaged, browser, owner):
    imaged.scan.metadata = {"ImagerPixelSpacing": [0.5, 0.5]}
    imaged.scan.save()
    points = [[10, 10], [110, 10]]
    mark_add(scan=imaged.scan, actor=owner, kind="length", points=points)
    mark_add(scan=imaged.scan, actor=owner, kind="arrow", points=points, text="<b>node</b>")
    gone = mark_add(scan=imaged.scan, actor=owner, kind="angle", points=[*points, [10, 50]])
    mark_delete(mark=gone, actor=owner)
    page = text_of(browser(owner).get(reverse("pages:report", args=[imaged.scan.pk])))
    assert "50.0 mm at the detector" in page
    assert "Arrow: &lt;b&gt;node&lt;/b&gt;" in page
    assert "Angle" not in page
    from pypdf import PdfReader

    pdf = browser(owner).get(reverse("pages:report_pdf", args=[imaged.scan.pk])).content
    text = " ".join(page.extract_text() for page in PdfReader(io.BytesIO(pdf)).pages)
    assert "50.0 mm at the detector" in " ".join(text.split())
