"""Manifests as history: images that are here, or come with it, get the labels of their lines."""

from __future__ import annotations

import unicodedata
from datetime import date
from io import StringIO

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from classifier.data.tables.manifest import Reading
from tests import factories
from webapp.audit.models import AuditEvent
from webapp.core.errors import CodedError
from webapp.labels.manifests import (
    line_upload,
    manifest_import,
    manifest_parse,
    manifests_process,
    progress_of,
)
from webapp.labels.models import Label, Manifest, ManifestLine
from webapp.labels.selectors import ground_truth, imported_attributes
from webapp.scans.models import Scan, Upload
from webapp.scans.services import upload_finish, upload_store

pytestmark = pytest.mark.django_db

HEAD = "image,finding,patient,source,split,offset_days\n"
CSV = (
    HEAD
    + "a/one.png,pneumonia|mass,P1,east,train,0\na/two.png,normal,P1,east,train,3\nthree.png,,P2,west,test,\n"
)


@pytest.fixture
def take(site, boss):
    def make(text=CSV, **options):
        return manifest_import(site=site, actor=boss, name="history.csv", data=text.encode(), **options)

    return make


def read_what_waits() -> None:
    """What the ingest worker does."""
    for upload in Upload.objects.claim(1000):
        shade = int(upload.sha256[:6], 16)
        one = factories.parsed(upload, upload.attempt_token, shade=shade)
        upload_finish(upload=upload, results=[one])


def test_images_that_are_here_are_found_by_name_and_patient(take, site):
    scan = factories.ScanFactory(site=site, patient__patient_id="P1", upload__filename="one.png")
    factories.ScanFactory(site=site, patient__patient_id="P9", upload__filename="two.png")
    manifest = take()
    assert manifests_process() == 1
    label = Label.objects.get()
    assert (label.scan, label.signed_as, label.source, label.blind) == (scan, "history.csv", "import", True)
    assert label.findings == {"mass": "present", "normal": "absent", "pneumonia": "present"}
    assert imported_attributes(site=site) == {
        scan.pk: {"source": "east", "split": "train", "offset_days": "0"}
    }
    assert ground_truth(site=site)[scan.pk]["normal"] == "absent"
    assert progress_of([manifest])[manifest.pk] == {
        "waiting": 2,
        "labelled": 1,
        "no_finding": 0,
        "failed": 0,
        "missing": 2,
    }
    events = AuditEvent.objects.filter(subject=f"labels.manifest:{manifest.pk}").order_by("created_at")
    assert [event.action for event in events] == ["manifest.imported", "labels.imported"]
    assert "P1" not in str([event.detail for event in events])


def test_a_name_that_could_be_two_images_is_not_guessed(take, site):
    patient = factories.PatientFactory(site=site, patient_id="P1")
    factories.ScanFactory.create_batch(2, site=site, patient=patient, upload__filename="one.png")
    take()
    assert manifests_process() == 0


def test_a_hash_names_its_image_whatever_it_is_called(take, site):
    scan = factories.ScanFactory(site=site)
    take(f"image,finding,patient,sha256\nx.png,pneumonia,P7,{scan.upload.sha256.upper()}\n")
    assert manifests_process() == 1
    assert Label.objects.get().scan == scan


def test_images_that_come_with_it_go_the_way_of_every_upload(take, site, boss):
    manifest = take(day_zero=date(2026, 1, 30))
    for line in manifest.lines.all():
        line_upload(line=line, actor=boss, chunks=[line.image.encode()], filename="x.png")
    assert manifests_process() == 0, "they are not read yet"
    read_what_waits()
    assert manifests_process() == 3
    assert progress_of([manifest])[manifest.pk] == {
        "waiting": 0,
        "labelled": 2,
        "no_finding": 1,
        "failed": 0,
        "missing": 0,
    }
    two = Label.objects.get(findings__normal="present")
    assert (two.scan.patient.patient_id, two.scan.study.study_date) == ("P1", date(2026, 2, 2))
    assert manifests_process() == 0
    assert Scan.objects.count() == 3


def test_images_that_come_later_are_found_then(take, site, boss):
    take("image,finding,patient\nlate.png,pneumonia,P1\n")
    assert manifests_process() == 0
    from webapp.scans.uploads.stated_metadata import StatedMetadata

    upload_store(
        user=boss, site=site, chunks=[b"late"], filename="late.png", stated=StatedMetadata(patient_id="P1")
    )
    read_what_waits()
    assert manifests_process() == 1


def test_what_is_no_image_marks_its_line_until_another_one_comes(take, boss):
    manifest = take("image,finding,patient\na.png,pneumonia,P1\n")
    line = manifest.lines.get()
    upload = line_upload(line=line, actor=boss, chunks=[b"no image"])
    Upload.objects.filter(pk=upload.pk).update(status="refused", refusal="not_an_image")
    assert manifests_process() == 1
    line.refresh_from_db()
    assert (line.status, line.problem, line.label) == ("failed", "not_an_image", None)
    line_upload(line=line, actor=boss, chunks=[b"an image"])
    read_what_waits()
    assert manifests_process() == 1
    line.refresh_from_db()
    assert (line.status, line.problem, line.label) == ("labelled", "", Label.objects.get())


def test_an_image_of_another_patient_is_not_taken_for_this_one(take, boss):
    manifest = take("image,finding,patient\na.png,pneumonia,P1\nb.png,pneumonia,P2\n")
    first, second = manifest.lines.all()
    line_upload(line=first, actor=boss, chunks=[b"one image"])
    read_what_waits()
    with pytest.raises(CodedError) as caught:
        line_upload(line=second, actor=boss, chunks=[b"one image"])
    assert caught.value.code == "patient_conflict"
    manifests_process()
    assert list(manifest.lines.values_list("status", "problem")) == [
        ("labelled", ""),
        ("failed", "patient_conflict"),
    ]


def test_the_same_manifest_is_taken_once_and_a_corrected_one_supersedes(take, site):
    factories.ScanFactory(site=site, patient__patient_id="P1", upload__filename="one.png")
    assert take() == take()
    manifests_process()
    take(CSV.replace("pneumonia|mass", "mass"))
    manifests_process()
    first, second = Label.objects.order_by("created_at")
    assert (second.supersedes, second.findings) == (first, {"mass": "present", "normal": "absent"})
    take(CSV.replace("pneumonia|mass", "mass") + "\n")
    manifests_process()
    assert Label.objects.count() == 2, "what is known already is not recorded twice"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (",pneumonia,P1,,,", "must not be empty"),
        ("b.png,pneumonia,,,,", "must not be empty"),
        ("b.png,Lungs!,P1,,,", "not a valid code"),
        ("b.png,normal|pneumonia,P1,,,", "contradict"),
        ("a.png,pneumonia,P1,,,", "earlier line"),
        ("b.png,pneumonia,P1,,exam,", "split is one of"),
        ("b.png,pneumonia,P1,,test,", "another part of the split"),
        (f"b.png,pneumonia,{'x' * 65},,,", "at most"),
    ],
)
def test_what_is_wrong_is_reported_by_line_and_nothing_is_taken(take, site, line, words):
    text = HEAD + "a.png,pneumonia,P1,,train,\n" + line + "\n"
    (problem,) = manifest_parse(text.encode(), site=site).report.errors
    assert problem.line == 3
    assert words in problem.text
    with pytest.raises(CodedError) as caught:
        take(text)
    assert caught.value.code == "invalid"
    assert not Manifest.objects.exists()


def test_a_manifest_as_a_spreadsheet_saves_it_is_read_the_same_way(boss, site):
    text = (
        "sep=;\r\nImage;Finding;Patient;Date\r\nMöwe.png;mass;P1;5.3.2024\r\nb.png;normal;P2;06.03.2024\r\n"
    )
    for encoding in ("utf-8-sig", "utf-16", "cp1252"):
        manifest = manifest_import(site=site, actor=boss, name="x", data=text.encode(encoding))
        lines = [(line.number, line.image, line.taken_on) for line in manifest.lines.all()]
        assert lines == [(3, "Möwe.png", date(2024, 3, 5)), (4, "b.png", date(2024, 3, 6))]


def test_a_date_that_can_be_two_is_no_date_until_the_site_states_its_order(site):
    data = b"image,finding,patient,study_date\na.png,mass,P1,05/03/2024\n"
    (problem,) = manifest_parse(data, site=site).report.errors
    assert (problem.line, problem.column, problem.value) == (2, "study_date", "05/03/2024")
    site.date_order = "dmy"
    assert manifest_parse(data, site=site).lines[0]["taken_on"] == date(2024, 3, 5)
    other = manifest_parse(data, site=site, reading=Reading(dates="mdy"))
    assert other.lines[0]["taken_on"] == date(2024, 5, 3)


def test_an_image_uploaded_under_the_other_unicode_form_of_its_name_is_found(take, site):
    name = unicodedata.normalize("NFD", "Möwe.png")
    factories.ScanFactory(site=site, patient__patient_id="P1", upload__filename=name)
    take("image,finding,patient\nMöwe.png,mass,P1\n")
    assert manifests_process() == 1


@pytest.mark.parametrize("text", ["", "image,finding\nx,y\n", "image,finding,patient\n"])
def test_what_is_no_manifest_is_refused(take, text):
    with pytest.raises(CodedError) as caught:
        take(text)
    assert caught.value.code == "invalid"


def test_a_site_without_identity_keeps_no_text_of_a_manifest(site, settings, boss):
    settings.DEIDENTIFY_KEY = "k" * 40
    site.deidentify_on_ingest = True
    site.save()
    text = "image,finding,patient,source,view,sex,age,modality,split\n"
    text += (
        "a.png,mass,P1,Dr Secretova,Secretova,f,97,cr,train\nb.png,mass,P2,Dr Secretova,ap,?,Secretova,x,\n"
    )
    manifest = manifest_import(site=site, actor=boss, name="Secretova 2026.csv", data=text.encode())
    assert "ecretova" not in repr(list(manifest.lines.values())) + manifest.name
    one, two = (line.attributes for line in manifest.lines.order_by("number"))
    assert one == {"split": "train", "sex": "F", "age": "90", "modality": "CR", "source": two["source"]}
    assert two["view"] == "AP"


def test_a_site_without_identity_keeps_no_name_and_no_identifier(take, site, settings, boss):
    settings.DEIDENTIFY_KEY = "k" * 40
    site.deidentify_on_ingest = True
    site.save()
    manifest = take(day_zero=date(2026, 1, 1))
    line = manifest.lines.first()
    assert (line.image, line.taken_on) == ("", None)
    assert line.patient not in ("", "P1")
    upload = line_upload(line=line, actor=boss, chunks=[b"one"], filename="one.png")
    assert (upload.filename, upload.stated_patient_id) == ("", line.patient)


def test_only_who_may_manage_labels_and_upload_takes_one_in(take, owner, site):
    manifest = take()
    line = manifest.lines.first()
    for act in (
        lambda: manifest_import(site=site, actor=owner, name="x", data=CSV.encode()),
        lambda: line_upload(line=line, actor=owner, chunks=[b"x"]),
    ):
        with pytest.raises(CodedError) as caught:
            act()
        assert caught.value.code == "forbidden"


def test_the_command_hands_images_in_and_is_safe_to_repeat(tmp_path, site, boss, monkeypatch):
    (tmp_path / "a").mkdir()
    for name in ("a/one.png", "a/two.png", "three.png"):
        (tmp_path / name).write_bytes(name.encode())
    table = tmp_path / "history.csv"
    table.write_text(CSV)
    # The workers read while the command waits.
    monkeypatch.setattr(
        "webapp.labels.management.commands.import_manifest.time.sleep", lambda _: read_what_waits()
    )
    for _ in range(2):
        out = StringIO()
        call_command("import_manifest", str(table), "--site", site.slug, "--by", "boss", stdout=out)
        assert "2 labelled, 1 without a finding, 0 failed, 0 waiting." in out.getvalue()
    assert (Label.objects.count(), Upload.objects.count(), ManifestLine.objects.count()) == (2, 3, 3)


def test_the_command_states_what_is_wrong_before_it_does_anything(tmp_path, site, boss):
    table = tmp_path / "history.csv"
    table.write_text(CSV)
    errors = StringIO()
    with pytest.raises(CommandError, match="3 invalid lines"):
        call_command("import_manifest", str(table), "--by", "boss", stderr=errors, stdout=StringIO())
    assert "history.csv, line 2: file not found: image “a/one.png”" in errors.getvalue()
    assert not Manifest.objects.exists()


def test_the_command_acts_for_the_only_user_who_may_import(tmp_path, site, boss, person):
    table = tmp_path / "history.csv"
    table.write_text(CSV)
    with pytest.raises(CommandError, match="3 invalid lines"):
        call_command("import_manifest", str(table), stderr=StringIO(), stdout=StringIO())
    person("chief", role="admin", site=site)
    with pytest.raises(CommandError, match="boss, chief"):
        call_command("import_manifest", str(table), stderr=StringIO(), stdout=StringIO())


def test_six_hundred_lines_cost_few_questions(site, boss, django_assert_max_num_queries):
    scans = factories.ScanFactory.create_batch(60, site=site)
    rows = [f"x{n}.png,pneumonia,P{n},{scan.upload.sha256}" for n, scan in enumerate(scans)]
    data = ("image,finding,patient,sha256\n" + "\n".join(rows)).encode()
    manifest_import(site=site, actor=boss, name="m", data=data)
    with django_assert_max_num_queries(40):
        assert manifests_process() == 60
