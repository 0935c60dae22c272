"""The label pages: queues, a case that stays blind until it is committed, decisions, files."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from tests import factories
from tests.webapp.pages.conftest import store_preview
from webapp.labels.annotation import LabelContent, case_label
from webapp.labels.models import Label, LabelQueue, Manifest, QueueClaim
from webapp.labels.queues import queue_create
from webapp.scans.models import Upload

pytestmark = pytest.mark.django_db

SICK = {"findings": {"normal": "absent", "pneumonia": "present"}, "confidence": 2}
WELL = {"findings": {"normal": "present", "pneumonia": "absent"}}


@pytest.fixture
def boss(person, site):
    return person("boss", role="admin", site=site)


@pytest.fixture
def asked(site, boss, finished_analysis):
    """A queue of one scan that a model has processed, for two readers."""
    scan = factories.ScanFactory(site=site)
    analysis = finished_analysis(scan, pneumonia=0.8123, normal=0.1)
    queue = queue_create(
        site=site,
        actor=boss,
        name="Night",
        findings=["normal", "pneumonia"],
        order="random",
        readers=2,
        at_most=9,
    )
    return SimpleNamespace(queue=queue, scan=scan, analysis=analysis, item=queue.items.get())


def start(browser, queue):
    return browser.post(reverse("pages:label_next", args=[queue.pk]))


def commit(browser, item, body):
    return browser.post(reverse("pages:label_submit", args=[item.pk]), json.dumps(body), "application/json")


def text_of(browser, name, *keys) -> str:
    return browser.get(reverse(f"pages:{name}", args=keys)).content.decode()


def traces(asked) -> list[str]:
    """What would report the scan, its patient or the model's result."""
    patient = asked.scan.patient
    return [str(asked.scan.pk), patient.patient_id, patient.name, "0.81", str(asked.analysis.pk), "threshold"]


def test_the_page_of_a_case_reports_nothing_until_the_label_is_committed(browser, asked, owner, teammate):
    case_label(item=asked.item, reader=teammate, content=LabelContent(SICK["findings"], comment="left base"))
    client = browser(owner)
    started = start(client, asked.queue)
    assert started.url == reverse("pages:label_case", args=[asked.item.pk])
    page = client.get(started.url).content.decode()
    assert "stay hidden until you submit" in page
    assert not [trace for trace in (*traces(asked), "left base", "teammate") if trace in page]
    queue = text_of(client, "label_queue", asked.queue.pk) + text_of(client, "labels")
    assert not [trace for trace in (*traces(asked), "left base", "Inter-reader agreement") if trace in queue]
    response = commit(client, asked.item, SICK)
    assert response.status_code == 201
    shown = response.json()["html"]
    assert "Pneumonia 0.81, above this model" in shown
    assert "left base" not in shown, "what others labelled stays theirs"
    again = text_of(client, "label_case", asked.item.pk)
    assert "Pneumonia 0.81" in again
    assert "left base" not in again


def test_a_change_of_mind_is_a_second_label(browser, asked, owner):
    client = browser(owner)
    start(client, asked.queue)
    first = commit(client, asked.item, SICK).json()["label"]
    second = commit(client, asked.item, WELL | {"after": first["id"]})
    assert "You changed your label after seeing the model result" in second.json()["html"]
    assert [label.blind for label in Label.objects.order_by("created_at")] == [True, False]
    assert list(second.json()["label"]["findings"]) == ["normal", "pneumonia"]
    late = commit(client, asked.item, SICK)
    assert (late.status_code, late.json()["code"]) == (409, "conflict")


@pytest.mark.parametrize(
    "body",
    [
        "{",
        "[]",
        "{}",
        '{"findings": []}',
        '{"findings": {"pneumonia": "maybe"}}',
        '{"findings": {"pneumonia": []}}',
        '{"findings": {"pneumonia": "present"}, "regions": [1]}',
        '{"findings": {"pneumonia": "present"}, "confidence": "2"}',
        '{"findings": {"pneumonia": "present"}, "comment": 7}',
        '{"findings": {"pneumonia": "present"}, "after": "x"}',
    ],
)
def test_what_is_no_label_is_refused_in_words(browser, asked, owner, body):
    response = browser(owner).post(
        reverse("pages:label_submit", args=[asked.item.pk]), body, "application/json"
    )
    assert (response.status_code, response.json()["code"]) == (400, "invalid")
    assert not Label.objects.exists()


def test_a_withheld_result_is_reported_as_such_without_numbers(browser, asked, owner):
    asked.scan.analyses.update(withheld=True, abstention="lateral_view")
    shown = commit(browser(owner), asked.item, SICK).json()["html"]
    assert "No result: this looks like a lateral view" in shown
    assert "0.81" not in shown


def test_without_any_result_it_states_so(browser, site, boss, owner):
    factories.ScanFactory(site=site)
    queue = queue_create(
        site=site, actor=boss, name="N", findings=["pneumonia"], order="random", readers=1, at_most=9
    )
    shown = commit(browser(owner), queue.items.get(), {"findings": {"pneumonia": "absent"}}).json()["html"]
    assert "No model has analysed this image." in shown


def test_a_case_that_was_not_handed_out_leads_to_its_queue(browser, asked, owner):
    response = browser(owner).get(reverse("pages:label_case", args=[asked.item.pk]))
    assert (response.status_code, response.url) == (302, reverse("pages:label_queue", args=[asked.queue.pk]))


def test_a_case_is_held_for_as_long_as_somebody_is_at_it(browser, asked, owner):
    client = browser(owner)
    start(client, asked.queue)
    before = QueueClaim.objects.get().until
    where = reverse("pages:label_claim", args=[asked.item.pk])
    assert client.post(where).json() == {"claimed": True}
    assert QueueClaim.objects.get().until > before
    QueueClaim.objects.all().delete()
    assert client.post(where).json() == {"claimed": False}


def test_the_image_of_a_case_comes_under_the_case_s_own_address(browser, asked, owner, outsider, settings):
    png = store_preview(asked.scan, settings)
    where = reverse("pages:label_image", args=[asked.item.pk, "preview"])
    start(browser(owner), asked.queue)
    response = browser(owner).get(where)
    assert b"".join(response.streaming_content) == png
    assert browser(owner).get(where, headers={"if-none-match": response["ETag"]}).status_code == 304
    assert browser(outsider).get(where).status_code == 404
    assert browser(owner).get(where.replace("preview", "working")).status_code == 404


def test_the_image_of_a_case_is_open_only_to_who_holds_or_adjudicates_it(
    browser, asked, owner, teammate, boss, settings
):
    store_preview(asked.scan, settings)
    where = reverse("pages:label_image", args=[asked.item.pk, "preview"])
    assert browser(owner).get(where).status_code == 404
    start(browser(owner), asked.queue)
    assert browser(owner).get(where).status_code == 200
    assert browser(teammate).get(where).status_code == 404
    commit(browser(owner), asked.item, SICK)
    assert not QueueClaim.objects.filter(reader=owner).exists()
    assert browser(owner).get(where).status_code == 200
    assert browser(boss).get(where).status_code == 200


def test_an_empty_queue_and_a_finished_one_state_it(browser, asked, owner, teammate, site, boss):
    empty = queue_create(
        site=site, actor=boss, name="E", findings=["normal"], order="random", readers=1, at_most=1, slot="ct"
    )
    client = browser(owner)
    assert "This queue is empty" in text_of(client, "label_queue", empty.pk)
    assert start(client, empty).url == reverse("pages:label_queue", args=[empty.pk])
    commit(client, asked.item, SICK)
    assert "Nothing left for you" in text_of(client, "label_queue", asked.queue.pk)
    commit(browser(teammate), asked.item, SICK)
    assert "every image has all its readers" in text_of(client, "label_queue", asked.queue.pk)
    assert "nothing left for you" in text_of(client, "labels")


def test_a_case_is_skipped_with_a_reason_and_found_again_as_the_previous_one(
    browser, asked, owner, boss, site
):
    factories.ScanFactory(site=site)
    queue = queue_create(
        site=site, actor=boss, name="Two", findings=["pneumonia"], order="random", readers=1, at_most=2
    )
    client = browser(owner)
    first = start(client, queue).url
    second = client.post(first + "skip/", {"reason": "known"})
    assert second.url not in (first, reverse("pages:label_queue", args=[queue.pk]))
    assert f'href="{first}" data-previous' in client.get(second.url).content.decode()
    page = client.get(first).content.decode()
    assert "You skipped this image" in page
    assert "data-previous" not in page
    assert client.post(second.url + "skip/", {"reason": "nonsense"}).status_code == 400
    page = text_of(browser(boss), "label_queue", queue.pk)
    assert "I know this patient or image" in page
    assert "I know this patient" not in text_of(client, "label_queue", queue.pk)


def test_the_box_of_the_heatmap_is_offered_only_after_the_label(browser, asked, owner):
    client = browser(owner)
    page = client.get(start(client, asked.queue).url).content.decode()
    assert 'id="suggestions"' not in page
    shown = commit(client, asked.item, SICK).json()["html"]
    assert '"finding": "pneumonia"' in shown
    assert '"suggested": true' in shown


def test_a_queue_is_made_for_named_readers(browser, boss, owner, teammate, case):
    client, where = browser(boss), reverse("pages:label_new")
    stated = {"name": "Us", "finding": ["normal"], "order": "random", "readers": "2", "at_most": "9"}
    stated |= {"slot": "cxr", "named": [str(owner.pk)]}
    wrong = client.post(where, stated)
    assert (wrong.status_code, "these are 1" in wrong.content.decode()) == (400, True)
    assert f'value="{owner.pk}" checked' in wrong.content.decode()
    made = client.post(where, stated | {"named": [str(owner.pk), str(teammate.pk)]})
    assert "labelled by" in client.get(made.url).content.decode()


def test_without_any_queue_the_page_states_who_to_ask(browser, owner, boss):
    assert "An administrator of your site creates label queues" in text_of(browser(owner), "labels")
    assert "New queue" in text_of(browser(boss), "labels")


def test_an_admin_makes_a_queue_and_is_reported_what_is_wrong(browser, boss, site, case):
    client, where = browser(boss), reverse("pages:label_new")
    stated = {
        "name": "Day",
        "finding": ["normal", "pneumonia"],
        "others": "Pleural effusion",
        "order": "uncertainty",
        "readers": "2",
        "at_most": "10",
        "slot": "cxr",
        "unlabelled": "1",
        "received_after": "2020-01-01",
        "received_before": "nonsense",
    }
    wrong = client.post(where, stated | {"readers": "0", "finding": [], "others": "!"})
    assert wrong.status_code == 400
    assert "From 1 to 9 readers an image" in wrong.content.decode()
    assert 'value="Day"' in wrong.content.decode(), "what was typed is still there"
    made = client.post(where, stated)
    queue = LabelQueue.objects.exclude(pk=case.queue.pk).get()
    assert made.url == reverse("pages:label_queue", args=[queue.pk])
    assert queue.findings == ["normal", "pneumonia", "pleural_effusion"]
    assert (queue.items.get().scan, queue.contents["received_after"]) == (
        case.scan,
        "2020-01-01T00:00:00+01:00",
    )
    for order in ("uncertainty", "disagreement", "drift", "random"):
        assert f'<option value="{order}"' in client.get(where).content.decode()


def test_who_decides_sees_the_labels_side_by_side_and_not_the_model(browser, asked, owner, teammate, boss):
    client, where = browser(boss), reverse("pages:label_adjudicate", args=[asked.item.pk])
    assert client.get(where).status_code == 302, "its readers are still asked"
    case_label(item=asked.item, reader=owner, content=LabelContent(SICK["findings"], comment="left base"))
    case_label(item=asked.item, reader=teammate, content=LabelContent(WELL["findings"]))
    page = client.get(where).content.decode()
    assert "left base" in page
    assert "Reader 1" in page
    assert not [name for name in ("owner", "teammate") if name in page]
    assert not [trace for trace in traces(asked) if trace in page]
    queue = text_of(client, "label_queue", asked.queue.pk)
    assert "Adjudicate 1 case" in queue
    assert client.get(reverse("pages:label_disputed", args=[asked.queue.pk])).url == where
    for wrong in ({}, {"finding-normal": "absent", "reason": "x"}):
        assert client.post(where, wrong).status_code == 400
    stated = {"finding-normal": "absent", "finding-pneumonia": "present"}
    kept = client.post(where, stated)
    assert (kept.status_code, "A reason is required" in kept.content.decode()) == (400, True)
    done = client.post(where, stated | {"reason": "follow-up CT"})
    assert done.url == reverse("pages:label_queue", args=[asked.queue.pk])
    decision = Label.objects.get(source="adjudication")
    assert (decision.reader, decision.findings, decision.reason) == (boss, SICK["findings"], "follow-up CT")
    page = client.get(where).content.decode()
    assert "follow-up CT" in page
    assert "teammate" in page, "the names appear once it is decided"
    stale = client.post(where, stated | {"reason": "again"})
    assert stale.status_code == 409


def test_the_queue_page_reports_kappa_to_who_may_decide(browser, asked, owner, teammate, boss):
    for reader, stated in ((owner, SICK), (teammate, WELL)):
        case_label(item=asked.item, reader=reader, content=LabelContent(stated["findings"]))
    page = text_of(browser(boss), "label_queue", asked.queue.pk)
    assert "Inter-reader agreement" in page
    assert "0.00" in page
    assert "Inter-reader agreement" not in text_of(browser(owner), "label_queue", asked.queue.pk)


def test_labels_are_checked_before_they_are_imported(browser, boss, case):
    client, where = browser(boss), reverse("pages:label_transfer")

    def send(text: str, **more):
        return client.post(
            where, {"table": SimpleUploadedFile("l.csv", text.encode()), **more}
        ).content.decode()

    good = f"sha256,reader,present\n{case.upload.sha256},Dr A,pneumonia\n"
    assert "To be imported: 1 new" in send(good)
    assert not Label.objects.exists()
    assert "1 line is invalid" in send(good.replace("pneumonia", "Lungs!"), **{"import": "1"})
    assert "Imported: 1 new" in send(good, **{"import": "1"})
    assert "Imported: 1 unchanged" in send(good, **{"import": "1"})
    assert client.post(where, {"import": "1"}).status_code == 400
    export = client.post(reverse("pages:label_export"))
    assert "Dr A" not in b"".join(export.streaming_content).decode(), "a queue may still ask for this image"
    assert "1 label is left out" in client.get(where).content.decode()


def test_a_manifest_is_checked_imported_and_followed(browser, boss, case):
    client, where = browser(boss), reverse("pages:label_manifests")
    text = "image,finding,patient\na.png,pneumonia,P1\nb.png,,P2\n"

    def send(text: str, **more):
        return client.post(where, {"table": SimpleUploadedFile("h.csv", text.encode()), **more})

    assert "1 with findings, 1 without a finding" in send(text).content.decode()
    preview = send(text, preview="1").content.decode()
    assert "<html" not in preview
    assert "2 rows, UTF-8, separated by comma" in preview
    assert "<td>pneumonia</td>" in preview
    assert Manifest.objects.get() == case.manifest, "nothing is kept of what is only previewed"
    assert "1 line is invalid" in send(text.replace("P2", "")).content.decode()
    assert send(text.replace("P2", ""), **{"import": "1"}).status_code == 400
    taken = send(text, **{"import": "1"}, name="History")
    manifest = Manifest.objects.get(name="History")
    assert taken.url == reverse("pages:label_manifest", args=[manifest.pk])
    assert "Upload the images" in client.get(taken.url).content.decode()
    hand_in = reverse("pages:label_manifest_file", args=[manifest.pk])

    def image(line: object):
        stated = json.dumps({"line": line, "filename": "a.png"})
        return client.post(
            hand_in, b"an image", "application/octet-stream", headers={"x-hilum-upload": stated}
        )

    assert image(2).status_code == 201
    assert Upload.objects.get(filename="a.png").stated_patient_id == "P1"
    assert [image(line).status_code for line in (9, "2", None)] == [404, 404, 404]
    state = text_of(client, "label_manifest_state", manifest.pk)
    assert 'data-missing="3"' in state
    assert "History" in client.get(where).content.decode()


def test_the_lists_cost_the_same_for_many_queues_as_for_one(
    browser, boss, asked, site, django_assert_max_num_queries
):
    client = browser(boss)
    for number in range(5):
        queue_create(
            site=site, actor=boss, name=f"{number}", findings=["normal"], order="random", readers=1, at_most=9
        )
        Manifest.objects.create(site=site, by=boss, name="m", sha256=f"{number}" * 64, findings=[])
    for name, most in (("labels", 12), ("label_manifests", 11)):
        with django_assert_max_num_queries(most):
            assert client.get(reverse(f"pages:{name}")).status_code == 200
