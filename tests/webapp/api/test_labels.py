"""Label queues, labels and manifests over the API: as on the pages, and as blind as there."""

from __future__ import annotations

import csv
import io

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from tests import factories
from webapp.labels.models import Label, QueueItem
from webapp.labels.queue_progress import queue_or_404

pytestmark = pytest.mark.django_db

V1 = "/api/v1"
SICK = {"findings": {"normal": "absent", "pneumonia": "present"}, "confidence": 2}
WELL = {"findings": {"normal": "present", "pneumonia": "absent"}}
SCOPES = ("scan.label",)


@pytest.fixture
def one(client_of, owner, site):
    return client_of(owner, site, SCOPES)


@pytest.fixture
def two(client_of, teammate, site):
    return client_of(teammate, site, SCOPES)


@pytest.fixture
def scan(site):
    """A scan that a model has processed."""
    scan = factories.ScanFactory(site=site)
    stated = factories.prediction(pneumonia=0.8123, normal=0.1)
    factories.AnalysisFactory(
        scan=scan,
        status="done",
        finding="pneumonia",
        probabilities=dict(stated.probabilities),
        uncertainty=0.4,
    )
    return scan


@pytest.fixture
def queue(admin, scan):
    body = {"name": "Night", "findings": ["normal", "pneumonia"], "readers": 2}
    return admin.post(f"{V1}/label-queues/", body, "json").json()


def handed(client, queue) -> dict:
    return client.post(f"{V1}/label-queues/{queue['id']}/next/").json()


def test_a_queue_is_made_and_reported_with_its_progress(admin, one, queue, scan):
    assert queue["images"] == {"all": 1, "waiting": 1, "agreed": 0, "disputed": 0, "settled": 0}
    listed = one.get(f"{V1}/label-queues/", {"open": "true"}).json()["results"]
    assert [row["id"] for row in listed] == [queue["id"]]
    assert one.get(f"{V1}/label-queues/", {"open": "false"}).json()["results"] == []
    again = admin.post(f"{V1}/label-queues/", {"name": "Night", "findings": ["normal"]}, "json")
    assert (again.status_code, list(again.json()["errors"])) == (400, ["name"])
    drift = {"name": "Drift", "findings": ["normal"], "order": "drift"}
    assert admin.post(f"{V1}/label-queues/", drift, "json").json()["order"] == "drift"
    named = {"name": "Named", "findings": ["normal"], "scans": [str(scan.pk)]}
    assert admin.post(f"{V1}/label-queues/", named, "json").json()["contents"]["named"] == 1


def test_a_case_is_labelled_blind_and_only_then_processed(one, queue, scan):
    case = handed(one, queue)
    assert (case["scan"], case["result"], case["label"]) == (None, None, None)
    assert str(scan.pk) not in str(case)
    where = f"{V1}/label-cases/{case['id']}/"
    assert one.get(where).json() == case
    reported = one.post(f"{where}label/", SICK, "json")
    assert reported.status_code == 201
    reported = reported.json()
    assert (reported["scan"], reported["label"]["blind"]) == (str(scan.pk), True)
    assert reported["result"]["probabilities"]["pneumonia"] == 0.8123
    assert one.post(f"{where}label/", SICK, "json").json()["label"] == reported["label"], (
        "a lost response is sent again"
    )
    changed = one.post(f"{where}label/", WELL | {"after": reported["label"]["id"]}, "json").json()["label"]
    assert (changed["blind"], changed["supersedes"]) == (False, reported["label"]["id"])
    assert one.post(f"{where}label/", SICK, "json").json()["code"] == "conflict"
    assert one.post(f"{V1}/label-queues/{queue['id']}/next/").status_code == 204
    progress = one.get(f"{V1}/label-queues/{queue['id']}/").json()
    assert (progress["left"], progress["progress"][0]["labelled"], progress["progress"][0]["changed"]) == (
        0,
        1,
        1,
    )


def test_a_withheld_result_is_not_reported(one, queue, scan):
    scan.analyses.update(withheld=True, abstention="lateral_view")
    case = handed(one, queue)
    response = one.post(f"{V1}/label-cases/{case['id']}/label/", SICK, "json").json()["result"]
    assert (response["abstention"], response["probabilities"]) == ("lateral_view", None)


def test_nothing_that_a_labeller_can_ask_for_reports_of_others_or_of_the_model(one, two, admin, queue, scan):
    case = handed(one, queue)
    one.post(f"{V1}/label-cases/{case['id']}/label/", SICK | {"comment": "left base"}, "json")
    for reader in (two, admin):
        for where in (
            f"label-cases/{case['id']}/",
            "labels/",
            f"labels/?scan={scan.pk}",
            f"labels/?queue={queue['id']}",
            f"scans/{scan.pk}/labels/",
            f"label-queues/{queue['id']}/",
            "label-queues/",
        ):
            text = reader.get(f"{V1}/{where}").content.decode()
            assert "left base" not in text, where
            assert "0.8123" not in text, where
            assert '"present"' not in text, where
    assert admin.get(f"{V1}/label-cases/{case['id']}/decision/").json()["code"] == "not_ready"
    exported = admin.get(f"{V1}/labels/export/")
    assert exported["X-Hilum-Left-Out"] == "1"
    assert "left base" not in b"".join(exported.streaming_content).decode()


def test_readers_who_differ_are_reported_side_by_side_and_decided_over(one, two, admin, queue, scan):
    for reader, stated in ((one, SICK), (two, WELL)):
        reader.post(f"{V1}/label-cases/{handed(reader, queue)['id']}/label/", stated, "json")
    where = f"{V1}/label-queues/{queue['id']}"
    (item,) = admin.get(f"{where}/disputed/").json()["results"]
    agreement = {row["finding"]: row for row in admin.get(f"{where}/agreement/").json()["results"]}
    assert agreement["pneumonia"]["overall"]["images"] == 1
    assert len(agreement["pneumonia"]["pairs"][0]["readers"]) == 2
    decision = f"{V1}/label-cases/{item['id']}/decision/"
    reported = admin.get(decision).json()
    assert [label["findings"]["pneumonia"] for label in reported["labels"]] == ["present", "absent"]
    assert admin.post(decision, SICK | {"reason": ""}, "json").json()["code"] == "invalid"
    decided = admin.post(decision, SICK | {"reason": "CT"}, "json")
    assert (decided.status_code, decided.json()["status"]) == (201, "settled")
    assert decided.json()["decision"]["reason"] == "CT"
    assert admin.get(f"{V1}/scans/{scan.pk}/labels/").json()["ground_truth"] == SICK["findings"]
    assert len(admin.get(f"{V1}/labels/", {"source": "adjudication"}).json()["results"]) == 1
    assert admin.get(f"{where}/disputed/").json()["results"] == []


def test_a_closed_queue_hands_out_nothing(admin, one, queue):
    where = f"{V1}/label-queues/{queue['id']}"
    assert admin.post(f"{where}/close/").json()["closed_at"]
    for response in (admin.post(f"{where}/close/"), one.post(f"{where}/next/")):
        assert (response.status_code, response.json()["code"]) == (409, "conflict")


def test_a_scan_is_labelled_outside_of_queues(one, two, scan, outsider, client_of, other_site):
    body = {"scan": str(scan.pk), "findings": {"pneumonia": "present"}, "blind": True}
    first = one.post(f"{V1}/labels/", body, "json")
    assert (first.status_code, first.json()["blind"], first.json()["queue"]) == (201, True, None)
    assert one.post(f"{V1}/labels/", body | {"findings": {"pneumonia": "absent"}}, "json").status_code == 409
    listed = two.get(f"{V1}/labels/", {"scan": str(scan.pk), "current": "true"}).json()["results"]
    assert [row["id"] for row in listed] == [first.json()["id"]]
    theirs = client_of(outsider, other_site, SCOPES)
    assert theirs.post(f"{V1}/labels/", body, "json").status_code == 404
    assert theirs.get(f"{V1}/labels/").json()["results"] == []


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"findings": {"pneumonia": "maybe"}},
        {"findings": {"pneumonia": "present"}, "confidence": 4},
        {"findings": {"pneumonia": "present"}, "confidence": "2"},
        {"findings": {"pneumonia": "present"}, "regions": [{"finding": "pneumonia", "x": 1}]},
        {"findings": {"pneumonia": "present"}, "indeterminate": "yes"},
        {"findings": {"pneumonia": "present"}, "after": "x"},
        {"findings": {"pneumonia": "present"}, "comment": "x" * 2001},
        {"findings": {"gout": "present"}},
    ],
)
def test_what_cannot_be_stated_is_refused(one, queue, body):
    case = handed(one, queue)
    response = one.post(f"{V1}/label-cases/{case['id']}/label/", body, "json")
    assert (response.status_code, response.json()["code"]) == (400, "invalid")
    assert not Label.objects.exists()


def table(rows: list[dict[str, str]], name="labels.csv") -> SimpleUploadedFile:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return SimpleUploadedFile(name, out.getvalue().encode())


def test_labels_come_in_after_a_dry_run_and_go_out_again(admin, scan):
    rows = [{"sha256": scan.upload.sha256, "reader": "Dr A", "present": "pneumonia"}]
    where = f"{V1}/labels/import/"
    dry = admin.post(where, {"file": table(rows), "dry_run": "true"}, "multipart").json()
    assert dry == {"dry_run": True, "counts": {"new": 1}, "error_count": 0, "lines": []}
    assert not Label.objects.exists()
    assert admin.post(where, {"file": table(rows)}, "multipart").json()["counts"] == {"new": 1}
    wrong = admin.post(where, {"file": table([rows[0] | {"sha256": "0"}])}, "multipart").json()
    assert (wrong["error_count"], wrong["lines"][0]["line"]) == (1, 2)
    response = admin.get(f"{V1}/labels/export/")
    text = b"".join(response.streaming_content).decode()
    assert response["Content-Type"].startswith("text/csv")
    assert ("Dr A" in text, response["X-Hilum-Left-Out"]) == (True, "0")
    assert admin.get(f"{V1}/labels/export/", headers={"accept": "text/csv"}).status_code == 200


@pytest.mark.parametrize("where", ["labels/import", "manifests"])
@pytest.mark.parametrize("text", ["", "yes", "0"])
def test_a_dry_run_that_is_no_boolean_takes_nothing_in(admin, scan, where, text):
    rows = [{"sha256": scan.upload.sha256, "reader": "Dr A", "present": "pneumonia"}]
    response = admin.post(f"{V1}/{where}/", {"file": table(rows), "dry_run": text}, "multipart")
    assert (response.status_code, list(response.json()["errors"])) == (400, ["dry_run"])
    assert not Label.objects.exists()


def test_a_manifest_is_imported_and_its_images_uploaded(admin, client_of, owner, site):
    rows = [
        {"image": "a.png", "finding": "pneumonia", "patient": "P1"},
        {"image": "b.png", "finding": "", "patient": "P2"},
    ]
    where = f"{V1}/manifests/"
    dry = admin.post(where, {"file": table(rows), "dry_run": "true"}, "multipart")
    assert (dry.status_code, dry.json()["counts"]) == (200, {"with_findings": 1, "no_finding": 1})
    taken = admin.post(where, {"file": table(rows, "m.csv"), "day_zero": "2026-01-01"}, "multipart")
    assert (taken.status_code, taken.json()["name"], taken.json()["lines"]["missing"]) == (201, "m.csv", 2)
    mine = f"{where}{taken.json()['id']}/"
    image = SimpleUploadedFile("a.png", b"an image")
    handed_in = admin.post(f"{mine}images/", {"line": 2, "file": image}, "multipart")
    assert (handed_in.status_code, handed_in.json()["status"]) == (201, "received")
    reported = admin.get(mine).json()
    assert (reported["lines"]["missing"], [line["line"] for line in reported["open_lines"]]) == (1, [3])
    none = admin.post(f"{mine}images/", {"line": 9, "file": SimpleUploadedFile("c", b"c")}, "multipart")
    assert none.status_code == 404
    wrong = admin.post(where, {"file": table([rows[0] | {"patient": ""}])}, "multipart")
    assert (wrong.status_code, wrong.json()["code"]) == (400, "invalid")
    assert [one["id"] for one in admin.get(where).json()["results"]] == [taken.json()["id"]]
    assert client_of(owner, site, SCOPES).get(where).status_code == 403


def test_lists_cost_the_same_for_many_as_for_one(admin, site, owner, django_assert_max_num_queries):
    for _ in range(4):
        queue = factories.LabelQueueFactory(site=site)
        item = factories.QueueItemFactory(queue=queue, status="disputed")
        factories.QueueItemFactory(queue=queue, status="disputed")
        factories.LabelFactory(scan=item.scan, queue=queue)
    for where in ("label-queues/", "labels/", "manifests/", f"label-queues/{queue.pk}/disputed/"):
        with django_assert_max_num_queries(11):
            assert admin.get(f"{V1}/{where}").status_code == 200
    with django_assert_max_num_queries(16):
        assert admin.get(f"{V1}/label-queues/{queue.pk}/").status_code == 200
    assert queue_or_404(owner, queue.pk).disputed == 2
    assert QueueItem.objects.count() == 8


def test_who_decides_over_the_api_sees_no_names_before_and_states_only_what_differs(
    one, two, admin, queue, owner
):
    for reader, stated in ((one, SICK), (two, {"findings": SICK["findings"] | {"pneumonia": "absent"}})):
        reader.post(f"{V1}/label-cases/{handed(reader, queue)['id']}/label/", stated, "json")
    (item,) = admin.get(f"{V1}/label-queues/{queue['id']}/disputed/").json()["results"]
    decision = f"{V1}/label-cases/{item['id']}/decision/"
    for labels in (admin.get(decision).json()["labels"], admin.get(f"{V1}/labels/").json()["results"]):
        assert [(label["reader"], label["signed_as"]) for label in labels] == [(None, "")] * 2
    decided = admin.post(decision, {"findings": {"pneumonia": "present"}, "reason": "CT"}, "json").json()
    assert decided["decision"]["findings"] == SICK["findings"]
    assert str(owner.pk) in {label["reader"] for label in decided["labels"]}


def test_a_case_is_skipped_and_a_queue_has_named_readers_over_the_api(one, two, admin, queue, owner, scan):
    case = handed(one, queue)
    where = f"{V1}/label-cases/{case['id']}/skip/"
    assert one.post(where, {"reason": "other"}, "json").json()["code"] == "reason_missing"
    assert one.post(where, {"reason": "known"}, "json").status_code == 204
    assert one.post(f"{V1}/label-queues/{queue['id']}/next/").status_code == 204
    body = {"name": "Named", "findings": ["normal"], "readers": 1, "unlabelled": False}
    assert queue["named"] == []
    made = admin.post(f"{V1}/label-queues/", body | {"named": [str(owner.pk)]}, "json").json()
    assert made["named"] == [str(owner.pk)]
    refused = two.post(f"{V1}/label-queues/{made['id']}/next/")
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    unknown = admin.post(f"{V1}/label-queues/", body | {"named": [str(scan.pk)]}, "json").json()
    assert (unknown["code"], list(unknown["errors"])) == ("invalid", ["named"])


def test_a_polygon_is_labelled_over_the_api(one, queue):
    case = handed(one, queue)
    points = [[1.0, 1.0], [20.0, 1.0], [10.0, 20.0]]
    body = SICK | {"regions": [{"finding": "pneumonia", "points": points}]}
    label = one.post(f"{V1}/label-cases/{case['id']}/label/", body, "json").json()["label"]
    assert label["regions"] == [{"finding": "pneumonia", "points": points}]
