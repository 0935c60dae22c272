"""Every page. Addresses carry our random ids only, never a name, an identifier or a search."""

from __future__ import annotations

from django.urls import path

from webapp.pages.views import (
    explanation,
    media,
    merge,
    models,
    monitoring,
    opening,
    patient,
    phantoms,
    reading,
    report,
    scan,
    upload,
    worklist,
)

app_name = "pages"
urlpatterns = [
    path("", worklist.worklist, name="worklist"),
    path("worklist/rows/", worklist.rows, name="worklist_rows"),
    path("worklist/bulk/", worklist.bulk, name="worklist_bulk"),
    path("worklist/export/", worklist.export, name="worklist_export"),
    path("worklist/views/save/", worklist.save_view, name="worklist_save_view"),
    path("worklist/views/open/", worklist.open_view, name="worklist_open_view"),
    path("worklist/views/delete/", worklist.delete_view, name="worklist_delete_view"),
    path("upload/", upload.page, name="upload"),
    path("upload/file/", upload.file, name="upload_file"),
    path("upload/patients/", upload.patients, name="upload_patients"),
    path("upload/states/", upload.states, name="upload_states"),
    path("upload/<uuid:upload_id>/retry/", upload.retry, name="upload_retry"),
    path("phantoms/", phantoms.page, name="phantoms"),
    path("phantoms/load/", phantoms.load, name="phantoms_load"),
    path("phantoms/collection.zip", phantoms.collection, name="phantoms_collection"),
    path("scans/<uuid:scan_id>/", scan.page, name="scan"),
    path("scans/<uuid:scan_id>/state/", scan.state, name="scan_state"),
    path("scans/<uuid:scan_id>/reveal/", scan.reveal, name="scan_reveal"),
    path("scans/<uuid:scan_id>/beside/<uuid:other_id>/", scan.page, name="scan_beside"),
    path("scans/<uuid:scan_id>/beside/<uuid:other_id>/state/", scan.state, name="scan_beside_state"),
    path("scans/<uuid:scan_id>/rescore/", scan.rescore, name="scan_rescore"),
    path("scans/<uuid:scan_id>/retry/", scan.retry, name="scan_retry"),
    path("scans/<uuid:scan_id>/reading/", reading.sign, name="reading_sign"),
    path("scans/<uuid:scan_id>/report/", report.page, name="report"),
    path("scans/<uuid:scan_id>/report/picture.png", report.picture, name="report_picture"),
    path("scans/<uuid:scan_id>/report.pdf", report.pdf, name="report_pdf"),
    path("scans/<uuid:scan_id>/patients/", scan.patients, name="scan_patients"),
    path("scans/<uuid:scan_id>/move/", scan.move, name="scan_move"),
    path(
        "analyses/<uuid:analysis_id>/explanations/<str:method>/", explanation.explanation, name="explanation"
    ),
    path("media/<uuid:scan_id>/<str:kind>/", media.picture, name="media"),
    path("patients/<uuid:patient_id>/", patient.page, name="patient"),
    path("patients/<uuid:patient_id>/rescore/", patient.rescore, name="patient_rescore"),
    path("patients/<uuid:patient_id>/merge/", merge.choose, name="patient_merge"),
    path("patients/<uuid:patient_id>/merge/<uuid:other_id>/", merge.confirm, name="patient_merge_confirm"),
    path("merges/<uuid:merge_id>/part/", merge.part, name="patient_part"),
    path("open/", opening.page, name="open"),
    path("studies/<uuid:study_id>/", opening.study, name="study"),
    path("models/", models.page, name="models"),
    path("models/<uuid:model_id>/", models.card, name="model"),
    path("models/<uuid:model_id>/promote/", models.promote, name="model_promote"),
    path("monitoring/", monitoring.page, name="monitoring"),
    path("monitoring/alarms/<uuid:alarm_id>/", monitoring.alarm, name="alarm"),
    path("monitoring/alarms/<uuid:alarm_id>/acknowledge/", monitoring.acknowledge, name="alarm_acknowledge"),
    path("monitoring/alarms/<uuid:alarm_id>/comment/", monitoring.comment, name="alarm_comment"),
    path("monitoring/alarms/<uuid:alarm_id>/close/", monitoring.close, name="alarm_close"),
]
