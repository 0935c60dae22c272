"""One table of routes: each page, the addresses of the API that do the same, and the permission."""

from __future__ import annotations

from uuid import uuid4

import pytest
from django.urls import reverse

from tests.factories import KEY_IMAGE_VIEW
from webapp.accounts.permissions import Permission
from webapp.api.urls import urlpatterns as api_patterns
from webapp.pages.urls import urlpatterns as page_patterns

# No token changes how its user signs in, makes tokens, or lets anybody in.
BY_PAGE_ALONE = [p.name for p in page_patterns if p.name.startswith(("account_", "member", "invitation_"))]
# page: [(method, address of the API, permission that both ask for)]
PAGES = {
    "worklist": [("GET", "api-studies", "scan.view"), ("POST", "api-studies-search", "scan.view")],
    "worklist_rows": [("GET", "api-studies", "scan.view")],
    "worklist_bulk": [("GET", "api-studies", "scan.view"), ("POST", "api-scan-retry", "scan.upload")],
    "worklist_export": [("GET", "api-studies", "scan.view")],
    # A saved view is the page's memory of a question; a program keeps its own.
    "worklist_save_view": [("POST", "api-studies-search", "scan.view")],
    "worklist_open_view": [("POST", "api-studies-search", "scan.view")],
    "worklist_delete_view": [("POST", "api-studies-search", "scan.view")],
    # Order, urgency rule and notice belong to the pages; a program gets `study.urgent`.
    "worklist_sort": [("GET", "api-studies", "scan.view")],
    "worklist_waiting": [("GET", "api-studies", "scan.view")],
    "worklist_urgency": [("GET", "api-studies", "scan.view")],
    **{name: [] for name in BY_PAGE_ALONE},
    # The words of the pages' own scripts.
    "script_texts": [],
    "upload": [("GET", "api-uploads", "scan.upload")],
    "upload_file": [("POST", "api-scans", "scan.upload"), ("POST", "api-uploads", "scan.upload")],
    "upload_patients": [("POST", "api-patients-lookup", "scan.view")],
    "upload_manifest": [("POST", "api-upload-manifest", "scan.upload")],
    "upload_states": [("POST", "api-upload-states", "scan.upload")],
    "upload_retry": [("POST", "api-upload-retry", "scan.upload")],
    "phantoms": [("GET", "api-phantoms", "scan.upload")],
    "phantoms_collection": [("GET", "api-phantoms", "scan.upload")],
    # A program hands the collection in like any archive.
    "phantoms_load": [("POST", "api-scans", "scan.upload")],
    "scan": [("GET", "api-scan", "scan.view"), ("GET", "api-analysis", "scan.view")],
    "scan_state": [("GET", "api-scan", "scan.view")],
    # The API reports what is withheld, marked as such, in the scan itself.
    "scan_reveal": [("GET", "api-scan", "scan.view")],
    "scan_compare": [("GET", "api-scan", "scan.view"), ("GET", "api-patient-history", "scan.view")],
    "scan_compare_state": [("GET", "api-scan", "scan.view")],
    "scan_rescore": [("POST", "api-patient-rescore", "scan.upload")],
    "patient_rescore": [("POST", "api-patient-rescore", "scan.upload")],
    "reading_sign": [("POST", "api-study-readings", "scan.label")],
    # A program keeps what it has not signed yet.
    "reading_draft": [("POST", "api-study-readings", "scan.label")],
    # A report is a page of what these report.
    "report": [("GET", "api-scan", "scan.view"), ("GET", "api-study-readings", "scan.view")],
    "report_pdf": [("GET", "api-scan", "scan.view"), ("GET", "api-study-readings", "scan.view")],
    "report_image": [("GET", "api-analysis-overlay", "scan.view")],
    "scan_marks": [("GET", "api-scan-marks", "scan.view"), ("POST", "api-scan-marks", "scan.label")],
    "mark": [("PATCH", "api-mark", "scan.label"), ("DELETE", "api-mark", "scan.label")],
    "scan_key_images": [
        ("GET", "api-scan-key-images", "scan.view"),
        ("POST", "api-scan-key-images", "scan.label"),
    ],
    "key_image": [("DELETE", "api-key-image", "scan.label")],
    # A drawing of the view; a program has the image and the view.
    "report_key_image": [("GET", "api-key-image", "scan.view")],
    "open": [("POST", "api-studies-search", "scan.view")],
    "explanation": [
        ("GET", "api-analysis-explanation", "scan.view"),
        ("POST", "api-analysis-explanations", "scan.view"),
    ],
    "study": [("GET", "api-study", "scan.view")],
    "scan_retry": [("POST", "api-scan-retry", "scan.upload")],
    "scan_patients": [("POST", "api-patients-lookup", "scan.view")],
    "scan_move": [("POST", "api-scan-move", "scan.move")],
    "media": [("GET", "api-scan-preview", "scan.view"), ("GET", "api-scan-display", "scan.view")],
    "patient": [("GET", "api-patient", "scan.view"), ("GET", "api-patient-history", "scan.view")],
    "patient_merge": [("POST", "api-patients-search", "scan.view"), ("GET", "api-patient", "scan.view")],
    "patient_merge_confirm": [("POST", "api-patient-merge", "patient.merge")],
    "patient_unmerge": [("POST", "api-merge-undo", "patient.merge")],
    "labels": [("GET", "api-label-queues", "scan.label")],
    "label_new": [("POST", "api-label-queues", "label.manage")],
    "label_queue": [
        ("GET", "api-label-queue", "scan.label"),
        ("GET", "api-label-queue-agreement", "label.adjudicate"),
    ],
    "label_close": [("POST", "api-label-queue-close", "label.manage")],
    "label_next": [("POST", "api-label-queue-next", "scan.label")],
    "label_disputed": [("GET", "api-label-queue-disputed", "label.adjudicate")],
    "label_case": [("GET", "api-label-case", "scan.label")],
    "label_image": [
        ("GET", "api-label-case-preview", "scan.label"),
        ("GET", "api-label-case-display", "scan.label"),
    ],
    "label_submit": [("POST", "api-label-case-label", "scan.label")],
    # To be handed the case again holds it for longer.
    "label_claim": [("POST", "api-label-queue-next", "scan.label")],
    "label_skip": [("POST", "api-label-case-skip", "scan.label")],
    "label_adjudicate": [
        ("GET", "api-label-case-decision", "label.adjudicate"),
        ("POST", "api-label-case-decision", "label.adjudicate"),
    ],
    "label_transfer": [("POST", "api-labels-import", "label.manage")],
    "label_export": [("GET", "api-labels-export", "label.manage")],
    "label_manifests": [("GET", "api-manifests", "label.manage"), ("POST", "api-manifests", "label.manage")],
    "label_manifest": [("GET", "api-manifest", "label.manage")],
    "label_manifest_state": [("GET", "api-manifest", "label.manage")],
    "label_manifest_file": [("POST", "api-manifest-images", "label.manage")],
    "models": [("GET", "api-models", "model.view"), ("GET", "api-training-runs", "model.view")],
    "model": [("GET", "api-model", "model.view"), ("GET", "api-promotions", "model.view")],
    "model_promote": [("POST", "api-model-promote", "model.promote")],
    "calibration": [
        ("GET", "api-model-calibration", "model.view"),
        ("GET", "api-model-calibrations", "model.view"),
        ("POST", "api-model-calibrations-preview", "calibration.manage"),
    ],
    "calibration_set": [("POST", "api-model-calibrations", "calibration.manage")],
    "calibration_use": [("POST", "api-model-calibration", "calibration.manage")],
    "monitoring": [("GET", "api-monitoring", "model.view"), ("GET", "api-alarms", "model.view")],
    "alarm": [("GET", "api-alarm", "model.view")],
    "alarm_acknowledge": [("POST", "api-alarm-acknowledge", "alarm.manage")],
    "alarm_comment": [("POST", "api-alarm-comment", "alarm.manage")],
    "alarm_close": [("POST", "api-alarm-close", "alarm.manage")],
    "audit": [("GET", "api-audit-events", "audit.view")],
    "audit_export": [("GET", "api-audit-events", "audit.view")],
    # A program asks by the patient's UUID.
    "audit_find": [("GET", "api-audit-events", "audit.view")],
    "model_rollback": [("POST", "api-model-rollback", "model.promote")],
    "model_compare": [("POST", "api-model-compare", "training.start")],
    "model_shadow": [("POST", "api-model-shadow", "model.promote")],
    "model_artifact": [("GET", "api-model-artifact", "model.view")],
    "model_card": [("GET", "api-model-card", "model.view")],
    "model_import": [("POST", "api-models", "training.start")],
    "promotion_policy": [
        ("GET", "api-promotion-policies", "model.view"),
        ("POST", "api-promotion-policies", "promotion_policy.edit"),
    ],
    "training": [
        ("GET", "api-training-runs", "model.view"),
        ("GET", "api-snapshots", "model.view"),
        ("GET", "api-training-schedules", "model.view"),
    ],
    "training_start": [("POST", "api-training-runs", "training.start")],
    "schedule_save": [("POST", "api-training-schedules", "training.start")],
    "schedule_remove": [("DELETE", "api-training-schedule", "training.start")],
    "run": [("GET", "api-training-run", "model.view"), ("GET", "api-training-run-log", "model.view")],
    "run_state": [("GET", "api-training-run", "model.view")],
    "run_cancel": [("POST", "api-training-run-cancel", "training.start")],
    "snapshot_create": [("POST", "api-snapshots", "training.start")],
    "snapshot": [("GET", "api-snapshot", "model.view")],
    "snapshot_manifest": [("GET", "api-snapshot-manifest", "training.start")],
    "destinations": [
        ("GET", "api-destinations", "result.manage"),
        ("GET", "api-result-deliveries", "result.manage"),
    ],
    "destination_save": [("POST", "api-destinations", "result.manage")],
    "destination_test": [("POST", "api-destination-test", "result.manage")],
    "destination_switch": [("PATCH", "api-destination", "result.manage")],
    "destination_remove": [("DELETE", "api-destination", "result.manage")],
    "destination_log": [("GET", "api-result-deliveries", "result.manage")],
    "result_rule_add": [("POST", "api-destination-rules", "result.manage")],
    "result_rule_remove": [("DELETE", "api-result-rule", "result.manage")],
    "result_resend": [("POST", "api-result-delivery-resend", "result.manage")],
    "result_dismiss": [("POST", "api-result-delivery-dismiss", "result.manage")],
    "result_send": [("POST", "api-scan-results", "result.send")],
}
# What no page shows, or the administration alone.
BEYOND = [
    ("GET", "api-me", None),
    ("GET", "api-model-monitoring", "model.view"),
    ("GET", "api-sites", None),
    ("GET", "api-scans", "scan.view"),
    ("GET", "api-scan-file", "scan.view"),
    ("GET", "api-upload", "scan.upload"),
    ("GET", "api-patients", "scan.view"),
    ("GET", "api-analyses", "scan.view"),
    ("GET", "api-analysis-cam", "scan.view"),
    ("GET", "api-analysis-explanations", "scan.view"),
    ("GET", "api-model-promotion-gate", "model.view"),
    ("GET", "api-model-shadow", "model.view"),
    ("GET", "api-comparisons", "model.view"),
    ("GET", "api-comparison", "model.view"),
    ("GET", "api-promotion-policies-current", "model.view"),
    ("GET", "api-training-schedule", "model.view"),
    ("GET", "api-audit-events", "audit.view"),
    ("GET", "api-labels", "scan.label"),
    ("POST", "api-labels", "scan.label"),
    ("GET", "api-scan-labels", "scan.label"),
    ("GET", "api-scan-marks", "scan.view"),
    ("POST", "api-scan-marks", "scan.label"),
    ("GET", "api-mark", "scan.view"),
    ("PATCH", "api-mark", "scan.label"),
    ("DELETE", "api-mark", "scan.label"),
    ("GET", "api-key-image", "scan.view"),
    ("GET", "api-changes", "scan.view"),
    ("GET", "api-destination", "result.manage"),
    ("GET", "api-webhooks", "webhook.manage"),
    ("POST", "api-webhooks", "webhook.manage"),
    ("GET", "api-webhook", "webhook.manage"),
    ("PATCH", "api-webhook", "webhook.manage"),
    ("DELETE", "api-webhook", "webhook.manage"),
    ("POST", "api-webhook-secret", "webhook.manage"),
    ("POST", "api-webhook-test", "webhook.manage"),
    ("GET", "api-webhook-deliveries", "webhook.manage"),
    ("POST", "api-webhook-redeliver", "webhook.manage"),
]
ROUTES = sorted({*(route for routes in PAGES.values() for route in routes), *BEYOND}, key=str)
OPEN = {"api-schema", "api-docs", "api-missing-slash"}
OBJECTS = {
    "api-scan": "scan",
    "api-upload": "upload",
    "api-study": "study",
    "api-patient": "patient",
    "api-analysis": "analysis",
    "api-model": "model",
    "api-merge": "merge",
    "api-training-run": "run",
    "api-alarm": "alarm",
    "api-training-schedule": "schedule",
    "api-snapshot": "snapshot",
    "api-comparison": "comparison",
    "api-webhook": "webhook",
    "api-destination": "destination",
    "api-result-rule": "result_rule",
    "api-result-delivery": "result_delivery",
    "api-label-queue": "queue",
    "api-label-case": "item",
    "api-manifest": "manifest",
    "api-mark": "mark",
    "api-key-image": "key_image",
}
BODIES = {
    "api-studies-search": {"q": "x"},
    "api-patients-search": {"q": "x"},
    "api-patients-lookup": {"patient_ids": ["x"]},
    "api-upload-states": {"ids": ["6f1f64f0-3d0a-4f8e-9d58-0a6a54a5b0d1"]},
    "api-scan-move": {"patient_id": "new", "create": True, "reason": "because"},
    "api-study-readings": {"findings": ["normal"]},
    "api-scan-marks": {"kind": "length", "points": [[10, 10], [20, 10]]},
    "api-mark": {"points": [[10, 10], [20, 10]]},
    "api-scan-key-images": {"view": KEY_IMAGE_VIEW},
    "api-merge-undo": {"reason": "because"},
    "api-model-promote": {"reason": "because"},
    "api-analysis-explanations": {"method": "hirescam"},
    "api-alarm-close": {"outcome": "passed", "comment": "because"},
    "api-alarm-comment": {"comment": "because"},
    "api-label-case-label": {"findings": {"normal": "present"}},
    "api-model-compare": {"snapshot": "6f1f64f0-3d0a-4f8e-9d58-0a6a54a5b0d1"},
    "api-model-shadow": {"on": True},
    "api-model-calibration": {"number": None, "reason": "because"},
    "api-model-calibrations": {"reason": "because"},
    "api-promotion-policies": {"rules": {}, "reason": "because"},
    "api-snapshots": {"slot": "cxr"},
    "api-destination-rules": {"when": "at_once"},
    "api-scan-results": {"destination": str(uuid4())},
    "api-patient-merge": {"source_uuid": str(uuid4()), "reason": "x"},
}


def view_of(name: str):
    return next(pattern for pattern in api_patterns if pattern.name == name).callback.view_class


def takes_an_object(name: str) -> bool:
    return "<uuid:" in str(next(pattern for pattern in api_patterns if pattern.name == name).pattern)


def address(name: str, case) -> str:
    if not takes_an_object(name):
        return reverse(name)
    of = next(kind for begin, kind in sorted(OBJECTS.items(), reverse=True) if name.startswith(begin))
    further = {
        "api-webhook-redeliver": [case.delivery.pk],
        "api-analysis-explanation": [case.explanation.method],
    }
    return reverse(name, args=[getattr(case, of).pk, *further.get(name, [])])


def ask(client, method: str, name: str, case):
    if method in ("GET", "DELETE"):
        return getattr(client, method.lower())(address(name, case))
    return getattr(client, method.lower())(address(name, case), BODIES.get(name, {}), "json")


# Not JSON, or of nobody in particular.
FILES = {
    *("api-phantoms", "api-scan-file", "api-scan-preview", "api-scan-display", "api-analysis-overlay"),
    *("api-label-case-preview", "api-label-case-display"),
    *(
        "api-model-artifact",
        "api-snapshot-manifest",
        "api-promotion-policies",
        "api-promotion-policies-current",
    ),
}
OF_OBJECTS = [route for route in ROUTES if takes_an_object(route[1])]
# Not here: what is nobody's in particular, and images, which test_media looks at.
READ = [
    (method, name, permission)
    for method, name, permission in ROUTES
    if method == "GET"
    and permission
    not in (None, "audit.view", "webhook.manage", "label.manage", "label.adjudicate", "result.manage")
    and name not in FILES
]


def test_every_page_has_its_addresses_in_the_api():
    assert set(PAGES) == {pattern.name for pattern in page_patterns}


def test_every_address_of_the_api_is_in_the_table_with_its_permission():
    views = {p.name: p.callback.view_class for p in api_patterns if p.name not in OPEN}
    offered = {
        (method, name, view.needs[method])
        for name, view in views.items()
        for method in ("GET", "POST", "PATCH", "DELETE")
        if hasattr(view, method.lower())
    }
    assert offered == set(ROUTES)
    assert all(view.needs.keys() == {m for m, n, _ in ROUTES if n == name} for name, view in views.items())


def test_the_pages_ask_for_the_same_permission():
    """As far as a page states so itself; an object's page asks by `scan_or_404` and `demand`."""
    text = {p.name: permission for p in page_patterns if (permission := permission_of(p.callback))}
    assert len(text) >= 8
    text = {name: permission for name, permission in text.items() if name not in BY_PAGE_ALONE}
    wrong = {n: p for n, p in text.items() if p not in {route[2] for route in PAGES[n]}}
    assert not wrong


def permission_of(view) -> str | None:
    """What `at_active_site` was given around the view."""
    while view is not None:
        cells = dict(zip(view.__code__.co_freevars, view.__closure__ or (), strict=True))
        if "permission" in cells:
            return cells["permission"].cell_contents
        view = getattr(view, "__wrapped__", None)
    return None


@pytest.mark.parametrize(("method", "name", "permission"), [route for route in ROUTES if route[2]], ids=str)
def test_a_token_without_the_scope_is_reported_which_one_it_lacks(
    method, name, permission, person, client_of, site, case
):
    others = tuple(set(Permission) - {permission})
    response = ask(client_of(person("ada", role="admin", site=site), site, others), method, name, case)
    assert (response.status_code, response["Content-Type"]) == (403, "application/problem+json")
    assert (response.json()["code"], response.json()["scope"]) == ("insufficient_scope", permission)


@pytest.mark.parametrize(("method", "name", "permission"), OF_OBJECTS, ids=str)
def test_what_is_at_another_site_does_not_exist(
    method, name, permission, person, client_of, other_site, case
):
    outsider = client_of(person("eve", role="admin", site=other_site), other_site, tuple(Permission))
    response = ask(outsider, method, name, case)
    assert (response.status_code, response.json()["code"]) == (404, "not_found")
    case.scan.refresh_from_db()
    assert case.scan.patient == case.patient


@pytest.mark.parametrize(("method", "name", "permission"), READ, ids=str)
def test_owner_and_teammate_read_the_same_and_an_outsider_nothing_of_it(
    method, name, permission, person, client_of, owner, teammate, site, other_site, case
):
    granted = ("scan.view", "scan.upload", "scan.label", "model.view")
    mine, hers = (ask(client_of(who, site, granted), method, name, case) for who in (owner, teammate))
    assert (mine.status_code, mine.json()) == (200, hers.json())
    marks = [str(one.pk) for one in vars(case).values()]
    reported = any(mark in mine.content.decode() for mark in marks)
    untold = {
        "api-promotions",
        "api-changes",
        "api-study-readings",
        "api-analysis-cam",
        "api-training-run-log",
    }
    untold |= {"api-model-calibrations", "api-model-card", "api-model-shadow", "api-model-promotion-gate"}
    assert reported or name in untold | {"api-model-monitoring", "api-monitoring"}
    outsider = client_of(person("eve", role="clinician", site=other_site), other_site, granted)
    theirs = ask(outsider, method, name, case).content.decode()
    assert not any(mark in theirs for mark in marks)


@pytest.mark.parametrize("name", [p.name for p in api_patterns if p.name not in OPEN])
def test_only_tokens_open_the_api(name, owner, case):
    from django.test import Client

    browser = Client()
    browser.force_login(owner)
    assert browser.get(address(name, case)).status_code == 401
