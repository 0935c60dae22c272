"""All pages. Addresses contain random ids only, never a name, an identifier or a search."""

from __future__ import annotations

from django.urls import path

from webapp.pages import script_texts
from webapp.pages.account import views as account
from webapp.pages.audit import views as audit
from webapp.pages.calibration import views as calibration
from webapp.pages.destinations import views as destinations
from webapp.pages.labels import adjudication_views, case_views, exchange_views, queue_views
from webapp.pages.members import views as members
from webapp.pages.models import policy_views
from webapp.pages.models import views as models
from webapp.pages.monitoring import views as monitoring
from webapp.pages.patients import merge_views
from webapp.pages.patients import views as patient
from webapp.pages.report import views as report
from webapp.pages.scan import explanations, images, marks, signing
from webapp.pages.scan import views as scan
from webapp.pages.training import views as training
from webapp.pages.upload import phantoms
from webapp.pages.upload import views as upload
from webapp.pages.worklist import triage_views
from webapp.pages.worklist import views as worklist

app_name = "pages"
urlpatterns = [
    path("", worklist.worklist, name="worklist"),
    path("worklist/rows/", worklist.rows, name="worklist_rows"),
    path("worklist/bulk/", worklist.bulk, name="worklist_bulk"),
    path("worklist/sort/", worklist.sort, name="worklist_sort"),
    path("worklist/waiting/", triage_views.waiting, name="worklist_waiting"),
    path("worklist/urgency/", triage_views.urgency, name="worklist_urgency"),
    path("worklist/export/", worklist.export, name="worklist_export"),
    path("worklist/views/save/", worklist.save_view, name="worklist_save_view"),
    path("worklist/views/open/", worklist.open_view, name="worklist_open_view"),
    path("worklist/views/delete/", worklist.delete_view, name="worklist_delete_view"),
    path("script-texts.js", script_texts.script, name="script_texts"),
    path("account/password/", account.password, name="account_password"),
    path("account/confirm/", account.confirmation, name="account_confirm"),
    path("account/sessions/", account.sessions, name="account_sessions"),
    path("account/sessions/end/", account.sessions_close, name="account_sessions_end"),
    path("account/tokens/", account.tokens, name="account_tokens"),
    path("account/tokens/<uuid:token_id>/revoke/", account.token_end, name="account_token_revoke"),
    path("upload/", upload.page, name="upload"),
    path("upload/file/", upload.file, name="upload_file"),
    path("upload/manifest/", upload.manifest, name="upload_manifest"),
    path("upload/patients/", upload.patients, name="upload_patients"),
    path("upload/states/", upload.states, name="upload_states"),
    path("upload/<uuid:upload_id>/retry/", upload.retry, name="upload_retry"),
    path("phantoms/", phantoms.page, name="phantoms"),
    path("phantoms/load/", phantoms.load, name="phantoms_load"),
    path("phantoms/collection.zip", phantoms.collection, name="phantoms_collection"),
    path("scans/<uuid:scan_id>/", scan.page, name="scan"),
    path("scans/<uuid:scan_id>/state/", scan.state, name="scan_state"),
    path("scans/<uuid:scan_id>/reveal/", scan.reveal, name="scan_reveal"),
    path("scans/<uuid:scan_id>/compare/<uuid:other_id>/", scan.page, name="scan_compare"),
    path("scans/<uuid:scan_id>/compare/<uuid:other_id>/state/", scan.state, name="scan_compare_state"),
    path("scans/<uuid:scan_id>/rescore/", scan.rescore, name="scan_rescore"),
    path("scans/<uuid:scan_id>/retry/", scan.retry, name="scan_retry"),
    path("scans/<uuid:scan_id>/reading/", signing.sign, name="reading_sign"),
    path("scans/<uuid:scan_id>/reading/draft/", signing.draft, name="reading_draft"),
    path("scans/<uuid:scan_id>/marks/", marks.marks, name="scan_marks"),
    path("marks/<uuid:mark_id>/", marks.mark, name="mark"),
    path("scans/<uuid:scan_id>/key-images/", marks.key_images, name="scan_key_images"),
    path("key-images/<uuid:key_image_id>/", marks.key_image, name="key_image"),
    path("scans/<uuid:scan_id>/report/", report.page, name="report"),
    path("scans/<uuid:scan_id>/report/image.png", report.image, name="report_image"),
    path("key-images/<uuid:key_image_id>/image.png", report.key_image, name="report_key_image"),
    path("scans/<uuid:scan_id>/report.pdf", report.pdf, name="report_pdf"),
    path("scans/<uuid:scan_id>/patients/", scan.patients, name="scan_patients"),
    path("scans/<uuid:scan_id>/move/", scan.move, name="scan_move"),
    path(
        "analyses/<uuid:analysis_id>/explanations/<str:method>/",
        explanations.explanation,
        name="explanation",
    ),
    path("media/<uuid:scan_id>/<str:kind>/", images.image, name="media"),
    path("patients/<uuid:patient_id>/", patient.page, name="patient"),
    path("patients/<uuid:patient_id>/rescore/", patient.rescore, name="patient_rescore"),
    path("patients/<uuid:patient_id>/merge/", merge_views.choose, name="patient_merge"),
    path(
        "patients/<uuid:patient_id>/merge/<uuid:other_id>/", merge_views.confirm, name="patient_merge_confirm"
    ),
    path("merges/<uuid:merge_id>/unmerge/", merge_views.unmerge, name="patient_unmerge"),
    path("open/", patient.open_study, name="open"),
    path("studies/<uuid:study_id>/", patient.study, name="study"),
    path("label/", queue_views.page, name="labels"),
    path("label/new/", queue_views.new, name="label_new"),
    path("label/transfer/", exchange_views.transfer, name="label_transfer"),
    path("label/export/", exchange_views.export, name="label_export"),
    path("label/manifests/", exchange_views.manifests, name="label_manifests"),
    path("label/manifests/<uuid:manifest_id>/", exchange_views.manifest, name="label_manifest"),
    path(
        "label/manifests/<uuid:manifest_id>/state/",
        exchange_views.manifest,
        {"template": "labels/_manifest_progress.html"},
        name="label_manifest_state",
    ),
    path(
        "label/manifests/<uuid:manifest_id>/file/", exchange_views.manifest_file, name="label_manifest_file"
    ),
    path("label/queues/<uuid:queue_id>/", queue_views.queue, name="label_queue"),
    path("label/queues/<uuid:queue_id>/close/", queue_views.close, name="label_close"),
    path("label/queues/<uuid:queue_id>/next/", queue_views.next_case, name="label_next"),
    path("label/queues/<uuid:queue_id>/disputed/", adjudication_views.disputed, name="label_disputed"),
    path("label/cases/<uuid:item_id>/", case_views.case, name="label_case"),
    path("label/cases/<uuid:item_id>/submit/", case_views.submit, name="label_submit"),
    path("label/cases/<uuid:item_id>/skip/", case_views.skip, name="label_skip"),
    path("label/cases/<uuid:item_id>/claim/", case_views.extend_claim, name="label_claim"),
    path("label/cases/<uuid:item_id>/adjudicate/", adjudication_views.adjudicate, name="label_adjudicate"),
    path("label/cases/<uuid:item_id>/<str:kind>/", case_views.image, name="label_image"),
    path("models/", models.page, name="models"),
    path("models/import/", models.import_model, name="model_import"),
    path("models/<uuid:model_id>/", models.model, name="model"),
    path("models/<uuid:model_id>/promote/", models.promote, name="model_promote"),
    path("models/<uuid:model_id>/calibration/", calibration.page, name="calibration"),
    path("models/<uuid:model_id>/calibration/set/", calibration.set_calibration, name="calibration_set"),
    path("models/<uuid:model_id>/calibration/use/", calibration.use, name="calibration_use"),
    path("audit/", audit.page, name="audit"),
    path("audit/find/", audit.find, name="audit_find"),
    path("audit/export/", audit.export, name="audit_export"),
    path("members/", members.page, name="members"),
    path("members/<uuid:membership_id>/role/", members.change_role, name="member_role"),
    path("members/<uuid:membership_id>/change/", members.change, name="member_change"),
    path("members/invitations/<uuid:invitation_id>/revoke/", members.revoke, name="invitation_revoke"),
    path("monitoring/", monitoring.page, name="monitoring"),
    path("monitoring/alarms/<uuid:alarm_id>/", monitoring.alarm, name="alarm"),
    path("monitoring/alarms/<uuid:alarm_id>/acknowledge/", monitoring.acknowledge, name="alarm_acknowledge"),
    path("monitoring/alarms/<uuid:alarm_id>/comment/", monitoring.comment, name="alarm_comment"),
    path("monitoring/alarms/<uuid:alarm_id>/close/", monitoring.close, name="alarm_close"),
    path("models/<uuid:model_id>/rollback/", models.rollback, name="model_rollback"),
    path("models/<uuid:model_id>/compare/", models.compare, name="model_compare"),
    path("models/<uuid:model_id>/shadow/", models.shadow, name="model_shadow"),
    path("models/<uuid:model_id>/artifact/", models.artifact, name="model_artifact"),
    path("models/<uuid:model_id>/card.json", models.card_json, name="model_card"),
    path("models/promotion-policy/", policy_views.page, name="promotion_policy"),
    path("destinations/", destinations.page, name="destinations"),
    path("destinations/save/", destinations.save, name="destination_save"),
    path("destinations/<uuid:destination_id>/test/", destinations.test, name="destination_test"),
    path("destinations/<uuid:destination_id>/switch/", destinations.switch, name="destination_switch"),
    path("destinations/<uuid:destination_id>/remove/", destinations.remove, name="destination_remove"),
    path("destinations/<uuid:destination_id>/rules/add/", destinations.add_rule, name="result_rule_add"),
    path("destinations/rules/<uuid:rule_id>/remove/", destinations.remove_rule, name="result_rule_remove"),
    path("destinations/log/", destinations.log, name="destination_log"),
    path("destinations/deliveries/<uuid:delivery_id>/resend/", destinations.resend, name="result_resend"),
    path("destinations/deliveries/<uuid:delivery_id>/dismiss/", destinations.dismiss, name="result_dismiss"),
    path("scans/<uuid:scan_id>/send/", destinations.send, name="result_send"),
    path("training/", training.page, name="training"),
    path("training/start/", training.start, name="training_start"),
    path("training/schedule/", training.schedule_save, name="schedule_save"),
    path("training/schedule/<uuid:schedule_id>/delete/", training.schedule_remove, name="schedule_remove"),
    path("training/runs/<uuid:run_id>/", training.run, name="run"),
    path("training/runs/<uuid:run_id>/state/", training.run_state, name="run_state"),
    path("training/runs/<uuid:run_id>/cancel/", training.run_cancel, name="run_cancel"),
    path("training/snapshots/create/", training.create_snapshot, name="snapshot_create"),
    path("training/snapshots/<uuid:snapshot_id>/", training.snapshot, name="snapshot"),
    path("training/snapshots/<uuid:snapshot_id>/manifest.csv", training.manifest, name="snapshot_manifest"),
]
