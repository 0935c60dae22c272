"""Owner, teammate and outsider at every address of the pages."""

from __future__ import annotations

import uuid

import pytest
from django.test import Client
from django.urls import reverse

from tests import factories
from webapp.pages.urls import urlpatterns

pytestmark = pytest.mark.django_db

OBJECT_PAGES = ["scan", "scan_state", "patient", "report", "label_queue"]
ADMINS_OBJECTS = ["label_disputed", "label_adjudicate", "label_manifest", "label_manifest_state"]
PLAIN_PAGES = [
    "script_texts",
    "worklist",
    "worklist_rows",
    "upload",
    "phantoms",
    "models",
    "training",
    "promotion_policy",
    "monitoring",
    "open",
    "labels",
    *("account_confirm", "account_password", "account_sessions", "account_tokens"),
]
ADMINS_PAGES = ["label_new", "label_transfer", "label_manifests", "members"]
OF_A_MODEL = [
    *("model_promote", "model_rollback", "model_compare", "model_shadow", "model_artifact", "model_card"),
    *("calibration", "calibration_set", "calibration_use"),
]
OF_A_TRAINING = ["run", "run_state", "run_cancel", "schedule_remove", "snapshot", "snapshot_manifest"]
OF_A_DESTINATION = [
    *(
        "destination_test",
        "destination_switch",
        "destination_remove",
        "result_rule_add",
        "result_rule_remove",
    ),
    *("result_resend", "result_dismiss"),
]
OF_AN_ALARM = ["alarm", "alarm_acknowledge", "alarm_comment", "alarm_close"]
POST_ONLY = [
    "worklist_bulk",
    "worklist_export",
    "worklist_save_view",
    "worklist_open_view",
    "worklist_delete_view",
    "upload_file",
    "upload_patients",
    "upload_states",
    "upload_retry",
    "phantoms_load",
    "scan_reveal",
    "scan_rescore",
    "scan_retry",
    "patient_rescore",
    "reading_sign",
    "reading_draft",
    "scan_key_images",
    "scan_move",
    "scan_patients",
    "patient_unmerge",
    "model_promote",
    "model_rollback",
    "model_compare",
    "model_shadow",
    "model_import",
    "training_start",
    "schedule_save",
    "schedule_remove",
    "run_cancel",
    "snapshot_create",
    "label_close",
    "label_next",
    "label_submit",
    "label_claim",
    "label_skip",
    "label_export",
    "label_manifest_file",
    *("alarm_acknowledge", "alarm_comment", "alarm_close"),
    *("calibration_set", "calibration_use"),
    *("account_sessions_end", "account_token_revoke"),
    *("member_role", "member_change", "invitation_revoke"),
]


def address(name: str, case=None, model=None) -> str:
    keys = {
        "scan": lambda: [case.scan.pk],
        "scan_state": lambda: [case.scan.pk],
        "scan_reveal": lambda: [case.scan.pk],
        "scan_compare": lambda: [case.scan.pk, case.scan.pk],
        "scan_compare_state": lambda: [case.scan.pk, case.scan.pk],
        "scan_rescore": lambda: [case.scan.pk],
        "patient_rescore": lambda: [case.patient.pk],
        "scan_retry": lambda: [case.scan.pk],
        "scan_patients": lambda: [case.scan.pk],
        "scan_move": lambda: [case.scan.pk],
        "reading_sign": lambda: [case.scan.pk],
        "reading_draft": lambda: [case.scan.pk],
        "scan_marks": lambda: [case.scan.pk],
        "mark": lambda: [uuid.uuid4()],
        "scan_key_images": lambda: [case.scan.pk],
        **{name: lambda: [uuid.uuid4()] for name in ("key_image", "report_key_image")},
        "report": lambda: [case.scan.pk],
        "report_image": lambda: [case.scan.pk],
        "report_pdf": lambda: [case.scan.pk],
        "study": lambda: [case.scan.study.pk],
        "explanation": lambda: [case.analysis.pk, "layercam"],
        "media": lambda: [case.scan.pk, "preview"],
        "patient": lambda: [case.patient.pk],
        "patient_merge": lambda: [case.patient.pk],
        "patient_merge_confirm": lambda: [case.patient.pk, uuid.uuid4()],
        "patient_unmerge": lambda: [uuid.uuid4()],
        "upload_retry": lambda: [case.upload.pk],
        **{name: lambda: [case.queue.pk] for name in ("label_queue", "label_close", "label_next")},
        "label_disputed": lambda: [case.queue.pk],
        **{
            name: lambda: [case.item.pk]
            for name in ("label_case", "label_submit", "label_claim", "label_skip")
        },
        "label_adjudicate": lambda: [case.item.pk],
        "label_image": lambda: [case.item.pk, "preview"],
        **{name: lambda: [case.manifest.pk] for name in ("label_manifest", "label_manifest_state")},
        "label_manifest_file": lambda: [case.manifest.pk],
        **{
            name: lambda: [uuid.uuid4()]
            for name in ("account_token_revoke", "member_role", "member_change", "invitation_revoke")
        },
        "model": lambda: [model.pk],
        "result_send": lambda: [case.scan.pk],
        **{name: lambda: [uuid.uuid4()] for name in OF_A_DESTINATION},
        **{name: lambda: [model.pk] for name in OF_A_MODEL},
        **{name: lambda: [uuid.uuid4()] for name in (*OF_A_TRAINING, *OF_AN_ALARM)},
    }
    return reverse(f"pages:{name}", args=keys[name]() if name in keys else [])


@pytest.mark.parametrize("name", [pattern.name for pattern in urlpatterns])
def test_nobody_sees_anything_without_signing_in(name, case, model):
    response = Client().get(address(name, case, model))
    assert response.status_code == 302
    assert response.url.startswith("/sign-in/")


@pytest.mark.parametrize("name", PLAIN_PAGES)
def test_a_clinician_opens_the_plain_pages(name, browser, owner):
    assert browser(owner).get(address(name)).status_code == 200


@pytest.mark.parametrize("name", OBJECT_PAGES)
def test_owner_and_teammate_see_a_case_and_an_outsider_finds_nothing(
    name, case, browser, owner, teammate, outsider
):
    where = address(name, case)
    assert browser(owner).get(where).status_code == 200
    assert browser(teammate).get(where).status_code == 200
    assert browser(outsider).get(where).status_code == 404


@pytest.mark.parametrize(
    "name",
    [
        "scan_reveal",
        "scan_rescore",
        "patient_rescore",
        "scan_retry",
        "scan_move",
        "scan_patients",
        "upload_retry",
        "reading_sign",
        "reading_draft",
        "scan_marks",
        "scan_key_images",
        "explanation",
        "label_close",
        "label_next",
        "label_submit",
        "label_claim",
        "label_skip",
        "label_adjudicate",
        "label_manifest_file",
    ],
)
def test_an_outsider_changes_nothing_and_learns_nothing(name, case, browser, outsider):
    response = browser(outsider).post(address(name, case), {"patient_id": "X", "reason": "because"})
    assert response.status_code == 404
    case.scan.refresh_from_db()
    assert case.scan.patient == case.patient


@pytest.mark.parametrize("name", ADMINS_PAGES)
def test_only_an_admin_opens_what_manages_labels(name, browser, owner, person, site):
    assert browser(owner).get(address(name)).status_code == 403
    assert browser(person("boss", role="admin", site=site)).get(address(name)).status_code == 200


@pytest.mark.parametrize("name", ADMINS_OBJECTS)
def test_what_is_for_admins_is_not_for_clinicians_and_does_not_exist_for_outsiders(
    name, case, browser, owner, person, site, other_site
):
    where = address(name, case)
    assert browser(owner).get(where).status_code in (403, 404)
    assert browser(person("eve", role="admin", site=other_site)).get(where).status_code == 404
    assert browser(person("boss", role="admin", site=site)).get(where).status_code in (200, 302)


@pytest.mark.parametrize("name", POST_ONLY)
def test_what_changes_something_is_never_done_by_a_get(name, case, model, browser, owner):
    assert browser(owner).get(address(name, case, model)).status_code == 405


@pytest.mark.parametrize(
    "name",
    ["worklist", "upload", "phantoms", "models", "training", "promotion_policy", "labels", "monitoring"],
)
def test_an_auditor_is_reported_that_the_role_does_not_allow_it(name, browser, person, site):
    auditor = person("audrey", role="auditor", site=site)
    response = browser(auditor).get(address(name))
    assert response.status_code == 403
    assert b"Your role does not permit this" in response.content


def test_an_account_without_a_site_is_reported_who_to_ask(browser, person):
    response = browser(person("lone")).get("/")
    assert response.status_code == 403
    assert b"does not belong to a site" in response.content


def test_a_model_of_another_site_does_not_exist(browser, owner, outsider, site):
    own = factories.ModelVersionFactory(site=site)
    assert browser(owner).get(reverse("pages:model", args=[own.pk])).status_code == 200
    assert browser(outsider).get(reverse("pages:model", args=[own.pk])).status_code == 404


def test_what_was_never_there_is_not_found(browser, owner):
    for name in ("scan", "patient", "model"):
        response = browser(owner).get(reverse(f"pages:{name}", args=[uuid.uuid4()]))
        assert response.status_code == 404
        assert b"Not found." in response.content


def test_every_page_states_that_it_is_no_medical_device(case, browser, owner):
    for name in (*PLAIN_PAGES, "scan", "patient"):
        page = browser(owner).get(address(name, case)).content
        assert name in ("worklist_rows", "script_texts") or b"not a medical device" in page
