"""Whose an image is: the upload page in Chromium, with a server that only writes down what it is sent."""

from __future__ import annotations

import json
import mimetypes
import unicodedata
from urllib.parse import unquote

import pytest
from django.template.loader import render_to_string
from django.test import RequestFactory

from tests.flows.conftest import ROOT
from tests.flows.driving import rows, wait_for
from webapp.accounts.models import Site
from webapp.core.errors import CodedError
from webapp.pages.manifest_preview import DATE_ORDERS, ENCODINGS
from webapp.pages.upload.views import manifest_rows

pytestmark = pytest.mark.browser
SOMEWHERE = "http://upload.test"
KNOWN = {"P-42": {"label": "DOE, Jane", "studies": 3}}


class UploadPage:
    """The page and what left it: `sent` has the claim of every file, by the file's name.

    `states` is the server's state of uploads, by id; of a file that is sent, where its name is there.
    """

    def __init__(self, page) -> None:
        self.page, self.sent, self.states, self.refusals = page, {}, {}, []
        page.route("**/*", self._serve)
        page.goto(f"{SOMEWHERE}/upload/")
        wait_for(lambda: page.locator("[data-tally]").text_content(), "the page", seconds=15)

    def _serve(self, route) -> None:
        where = route.request.url.removeprefix(SOMEWHERE + "/")
        if where == "upload/":
            context = {"limit": 1 << 20, "archive_limit": 1 << 21, "recent": []}
            context |= {"date_orders": DATE_ORDERS, "encodings": ENCODINGS}
            route.fulfill(body=render_to_string("upload/upload.html", context), content_type="text/html")
        elif where == "upload/file/":
            claim = json.loads(unquote(route.request.headers["x-hilum-upload"]))
            if self.refusals:
                error = CodedError(self.refusals.pop())
                body = {"code": error.code, "detail": error.message, "remedy": error.remedy}
                return route.fulfill(json=body, status=error.status, headers={"Retry-After": "1"})
            self.sent[claim["filename"]] = (claim["patient_id"], claim["date"])
            response = {"id": str(len(self.sent)), "finished": True, "ok": True, "text": "taken", "code": ""}
            route.fulfill(json=response | self.states.get(claim["filename"], {}), status=201)
        elif where == "upload/manifest/":
            self._serve_manifest(route)
        elif where == "upload/states/":
            route.fulfill(json={"uploads": self.states})
        elif where == "upload/patients/":
            route.fulfill(json={"patients": KNOWN})
        else:
            path = ROOT / where
            route.fulfill(path=path, content_type=mimetypes.guess_type(path.name)[0] or "text/plain")

    def _serve_manifest(self, route) -> None:
        """What the server responds, of a site that has not stated an order of dates."""
        request = RequestFactory().generic(
            "POST", "/", route.request.post_data_buffer, route.request.headers["content-type"]
        )
        try:
            route.fulfill(json=manifest_rows(request, Site()))
        except CodedError as error:
            route.fulfill(json={"detail": error.message, "remedy": error.remedy}, status=error.status)

    def drop(self, **files: str | bytes) -> None:
        """Drop files by path and content, as a folder is dropped; waits until each has its row."""
        described = [
            [path, list(content if isinstance(content, bytes) else content.encode())]
            for path, content in files.items()
        ]
        self.page.evaluate(
            """(files) => {
                const file = ([path, content]) => new File([new Uint8Array(content)], path.split("/").at(-1));
                const dropped = files.map((one) =>
                    Object.defineProperty(file(one), "webkitRelativePath", { value: one[0] }));
                const event = new Event("drop", { bubbles: true, cancelable: true });
                const dataTransfer = { types: ["Files"], items: [], files: dropped };
                document.body.dispatchEvent(Object.assign(event, { dataTransfer }));
            }""",
            described,
        )
        images = {path for path in files if not path.endswith((".csv", ".xlsx"))}
        wait_for(lambda: images <= rows(self.page).keys(), "a row for every image", seconds=20)
        note = self.page.locator("[data-manifest-note]")
        if images < files.keys():
            wait_for(lambda: note.text_content(), "the manifest", seconds=20)
        self.page.wait_for_timeout(200)

    def row(self, name: str):
        return self.page.locator(".upload-row", has=self.page.get_by_text(name, exact=True))

    def patient(self, name: str) -> str:
        return self.row(name).locator("[data-patient]").input_value()

    @property
    def waiting(self) -> set[str]:
        """The images that wait for a press of the button."""
        return {name for name, row in rows(self.page).items() if row["outcome"] == "ready to upload"}

    def start(self) -> None:
        self.page.locator("[data-start]").click()
        wait_for(
            lambda: all(row["outcome"] == "taken" for row in rows(self.page).values()), "the end", seconds=15
        )


@pytest.fixture
def upload(chromium):
    page = chromium.new_page()
    yield UploadPage(page)
    page.close()


def test_a_server_that_is_full_is_waited_for_and_every_file_is_sent(upload):
    upload.refusals = ["upload_quota", "queue_full", "disk_full"]
    upload.page.evaluate(
        """() => {
            window.notices = [];
            const notice = document.querySelector("[data-paused]");
            new MutationObserver(() => notice.hidden || window.notices.push(notice.textContent))
                .observe(notice, { attributes: true, childList: true });
        }"""
    )
    upload.drop(
        **{"m.csv": "image,patient\n1.png,P\n2.png,P\n3.png,P\n4.png,P"}
        | {f"{n}.png": f"{n}" for n in range(1, 5)}
    )
    upload.start()
    assert set(upload.sent) == {f"{n}.png" for n in range(1, 5)}
    assert upload.page.locator("[data-paused]").is_hidden()
    notices = " ".join(upload.page.evaluate("window.notices"))
    assert "The disk is nearly full" in notices
    assert "Uploads continue automatically at" in notices


def test_files_of_one_name_in_two_folders_go_to_their_own_patients(upload):
    manifest = "image,patient,study_date\nanna/a.png,ANNA,2026-03-01\nbert/a.png,BERT,2026-03-02"
    upload.drop(**{"x/anna/a.png": "1", "x/bert/a.png": "2", "x/manifest.csv": manifest})
    assert upload.waiting == {"x/anna/a.png", "x/bert/a.png"}, "nothing leaves before the preview is seen"
    upload.start()
    whose = {name: row["patient"] for name, row in rows(upload.page).items()}
    assert whose == {"x/anna/a.png": "ANNA", "x/bert/a.png": "BERT"}


def test_a_manifest_is_not_believed_where_it_could_mean_either_of_two(upload):
    upload.drop(**{"anna/a.png": "1", "bert/a.png": "2", "manifest.csv": "image,patient\na.png,ANNA"})
    assert upload.waiting == {"anna/a.png", "bert/a.png"}
    assert upload.patient("anna/a.png") == upload.patient("bert/a.png") == ""


def test_a_manifest_speaks_for_its_own_folder_only(upload):
    upload.drop(**{"x/bert/a.png": "1", "x/anna/manifest.csv": "image,patient\na.png,ANNA"})
    assert upload.waiting == {"x/bert/a.png"}
    assert upload.patient("x/bert/a.png") == ""


def test_a_manifest_is_forgotten_with_its_drop(upload):
    upload.drop(**{"a.png": "1", "manifest.csv": "image,patient\na.png,ANNA"})
    upload.start()
    assert upload.page.locator("section.manifest").is_hidden()
    upload.drop(**{"bert/a.png": "2"})
    assert upload.waiting == {"bert/a.png"}
    assert upload.patient("bert/a.png") == ""
    upload.row("bert/a.png").locator("[data-patient]").fill("BERT")
    upload.start()
    assert upload.sent["a.png"] == ("BERT", "")


def test_an_empty_cell_takes_nothing_from_what_was_typed(upload):
    upload.page.get_by_label("For dropped files: patient ID").fill("P-1")
    upload.drop(**{"a.png": "1", "manifest.csv": "image,patient,study_date\na.png,,2026-03-01"})
    upload.start()
    assert upload.sent == {"a.png": ("P-1", "2026-03-01")}


def test_the_first_rows_are_shown_before_anything_is_uploaded(upload):
    text = "sep=;\nImage;Patient;Date\na.png;ANNA;5.3.2024\nb.png;BERT;soon\n"
    upload.drop(**{"a.png": "1", "b.png": "2", "manifest.csv": text.encode("utf-16")})
    shown = upload.page.locator("section.manifest").inner_text()
    assert "2 rows, UTF-16, separated by semicolon" in shown
    assert "line 3: 5 March 2024" in shown
    assert "1 row is not used." in shown
    assert (upload.patient("a.png"), upload.patient("b.png")) == ("ANNA", "")
    assert not upload.sent
    upload.start()
    assert upload.sent == {"a.png": ("ANNA", "2024-03-05"), "b.png": ("", "")}


def test_what_comes_first_is_asked_where_a_date_could_be_two(upload):
    upload.drop(**{"a.png": "1", "manifest.csv": "image,patient,date\na.png,ANNA,05/03/2024\n"})
    start, order = upload.page.locator("[data-start]"), upload.page.get_by_label("Dates such as 05/03/2024")
    assert start.is_disabled()
    for value, date in (("mdy", "2024-05-03"), ("dmy", "2024-03-05")):
        order.select_option(value)
        field = upload.row("a.png").locator("[data-date]")
        wait_for(lambda field=field, date=date: field.input_value() == date, "the date", seconds=15)
    assert start.is_enabled()
    upload.start()
    assert upload.sent == {"a.png": ("ANNA", "2024-03-05")}


def test_a_file_of_a_mac_is_matched_by_its_name(upload):
    name = unicodedata.normalize("NFD", "Möwe.png")
    upload.drop(**{name: "1", "manifest.csv": "image,patient\nMöwe.png,ANNA\n".encode("cp1252")})
    assert upload.patient(name) == "ANNA"


def test_a_workbook_is_not_uploaded_and_asked_for_as_csv(upload):
    upload.drop(**{"a.png": "1", "list.xlsx": b"PK\x03\x04 workbook", "manifest.csv": "image,patient\n"})
    note = upload.page.locator("[data-manifest-note]").inner_text()
    assert "list.xlsx is an Excel or OpenDocument workbook: save it as CSV" in note
    assert "list.xlsx" not in rows(upload.page)


def test_a_manifest_that_contradicts_a_typed_patient_asks_first(upload):
    upload.page.get_by_label("For dropped files: patient ID").fill("P-1")
    upload.drop(**{"a.png": "1", "manifest.csv": "image,patient\na.png,ANNA"})
    assert upload.waiting == {"a.png"}
    assert upload.patient("a.png") == "P-1"
    assert "manifest: ANNA" in upload.row("a.png").locator(".patient-cell").inner_text()
    upload.start()
    assert upload.sent == {"a.png": ("P-1", "")}


def test_a_later_drop_sends_nothing_that_is_still_being_typed(upload):
    upload.drop(**{"a.png": "1"})
    upload.row("a.png").locator("[data-patient]").fill("P-")
    film = "\0" * 128 + "DICM"
    upload.drop(**{"b.dcm": film})
    wait_for(lambda: upload.sent, "the DICOM file", seconds=15)
    assert upload.sent == {"b.dcm": ("", "")}
    assert upload.waiting == {"a.png"}


def test_days_are_counted_from_a_day_0_that_can_be_set(upload):
    manifest = "image,patient,offset_days\na.png,ANNA,0\nb.png,ANNA,5"
    upload.drop(**{"a.png": "1", "b.png": "2", "manifest.csv": manifest})
    upload.page.get_by_label("Calendar date of day 0").fill("2026-03-01")
    upload.start()
    assert upload.sent == {"a.png": ("ANNA", "2026-03-01"), "b.png": ("ANNA", "2026-03-06")}


def test_a_staged_image_shows_the_patient_it_is_added_to(upload):
    upload.drop(**{"a.png": "1"})
    upload.row("a.png").locator("[data-patient]").fill("P-42")
    joins = upload.row("a.png").locator("[data-match]")
    wait_for(lambda: joins.inner_text() == "adds to DOE, Jane (3 studies)", "whose it is", seconds=15)
    upload.row("a.png").locator("[data-patient]").fill("P-43")
    assert "DOE" not in joins.inner_text()
    wait_for(lambda: joins.inner_text() == "new patient", "that it is nobody's", seconds=15)


ZIP = "PK\x03\x04 and so on"


def test_an_archive_is_asked_of_once_and_sent_with_its_patient(upload):
    upload.drop(**{"some.zip": ZIP})
    assert upload.waiting == {"some.zip"}
    assert "archive" in upload.page.locator("[data-warnings]").inner_text()
    assert upload.row("some.zip").locator("[data-patient]").get_attribute("placeholder") == "from the files"
    upload.row("some.zip").locator("[data-patient]").fill("P-42")
    upload.start()
    assert upload.sent == {"some.zip": ("P-42", "")}


def test_an_archive_may_be_larger_than_a_single_file(upload):
    upload.drop(**{"large.zip": ZIP.ljust((1 << 20) + 1), "large.png": "x".ljust((1 << 20) + 1)})
    assert upload.waiting == {"large.zip"}
    assert rows(upload.page)["large.png"]["code"] == "too_large"


def test_the_images_of_an_archive_get_rows_that_follow_them(upload):
    members = [{"id": "a", "name": "in/a.png"}, {"id": "b", "name": "<b>b</b>.png"}]
    upload.states = {
        "some.zip": {"text": "Archive: 2 images, 2 in progress", "members": members, "finished": False},
        "1": {"id": "1", "text": "Archive: 2 images, 1 refused", "members": members, "finished": True},
        "a": {"id": "a", "text": "Normal 0.91", "finished": True, "ok": True, "href": "/scans/a/"},
        "b": {"id": "b", "text": "Refused", "finished": True, "code": "too_small"},
    }
    upload.drop(**{"some.zip": ZIP})
    upload.page.locator("[data-start]").click()
    wait_for(lambda: rows(upload.page).get("<b>b</b>.png", {}).get("code"), "the members", seconds=15)
    wait_for(lambda: rows(upload.page)["some.zip"]["outcome"].endswith("refused"), "the end", seconds=15)
    shown = upload.page.locator(".upload-row [data-name]").all_inner_texts()
    assert shown == ["some.zip", "in/a.png", "<b>b</b>.png"]
    assert rows(upload.page)["in/a.png"]["href"] == "/scans/a/"
    assert (
        upload.page.locator("[data-tally]").inner_text() == "2 files · 1 with a result · 1 without a result"
    )
    upload.page.get_by_role("button", name="Hide the images of some.zip").click()
    assert upload.row("in/a.png").is_hidden()
    upload.page.get_by_role("button", name="Show the images of some.zip").click()
    assert upload.row("in/a.png").is_visible()
