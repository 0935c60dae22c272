"""REST API v1; its OpenAPI schema is at `schema/`, its documentation at `docs/`."""

from __future__ import annotations

from django.urls import path, re_path

from webapp.api.views import (
    docs,
    explanations,
    labels,
    media,
    models,
    monitoring,
    patients,
    promotion_gate,
    queues,
    scans,
    service,
    studies,
    training,
    uploads,
    webhooks,
)

urlpatterns = [
    path("schema/", docs.Schema.as_view(), name="api-schema"),
    path("docs/", docs.page, name="api-docs"),
    path("me/", service.Me.as_view(), name="api-me"),
    path("sites/", service.SiteCollection.as_view(), name="api-sites"),
    path("scans/", scans.ScanCollection.as_view(), name="api-scans"),
    path("scans/<uuid:scan_id>/", scans.ScanDetail.as_view(), name="api-scan"),
    path("scans/<uuid:scan_id>/preview/", media.Preview.as_view(), name="api-scan-preview"),
    path("scans/<uuid:scan_id>/display/", media.Display.as_view(), name="api-scan-display"),
    path("scans/<uuid:scan_id>/file/", scans.ScanFile.as_view(), name="api-scan-file"),
    path("scans/<uuid:scan_id>/retry/", scans.ScanRetry.as_view(), name="api-scan-retry"),
    path("scans/<uuid:scan_id>/move/", scans.ScanMove.as_view(), name="api-scan-move"),
    path("uploads/", uploads.UploadCollection.as_view(), name="api-uploads"),
    path("uploads/states/", uploads.UploadStates.as_view(), name="api-upload-states"),
    path("uploads/<uuid:upload_id>/", uploads.UploadDetail.as_view(), name="api-upload"),
    path("uploads/<uuid:upload_id>/retry/", uploads.UploadRetry.as_view(), name="api-upload-retry"),
    path("analyses/", media.AnalysisCollection.as_view(), name="api-analyses"),
    path("analyses/<uuid:analysis_id>/", media.AnalysisDetail.as_view(), name="api-analysis"),
    path("analyses/<uuid:analysis_id>/cam/", media.AnalysisCam.as_view(), name="api-analysis-cam"),
    path(
        "analyses/<uuid:analysis_id>/overlay/", media.AnalysisOverlay.as_view(), name="api-analysis-overlay"
    ),
    path(
        "analyses/<uuid:analysis_id>/explanations/",
        explanations.ExplanationCollection.as_view(),
        name="api-analysis-explanations",
    ),
    path(
        "analyses/<uuid:analysis_id>/explanations/<str:method>/",
        explanations.ExplanationDetail.as_view(),
        name="api-analysis-explanation",
    ),
    path("studies/", studies.StudyCollection.as_view(), name="api-studies"),
    path("studies/search/", studies.StudySearch.as_view(), name="api-studies-search"),
    path("studies/<uuid:study_uuid>/", studies.StudyDetail.as_view(), name="api-study"),
    path("studies/<uuid:study_uuid>/readings/", studies.StudyReadings.as_view(), name="api-study-readings"),
    path("patients/", patients.PatientCollection.as_view(), name="api-patients"),
    path("patients/search/", patients.PatientSearch.as_view(), name="api-patients-search"),
    path("patients/lookup/", patients.PatientLookup.as_view(), name="api-patients-lookup"),
    path("patients/<uuid:patient_uuid>/", patients.PatientDetail.as_view(), name="api-patient"),
    path(
        "patients/<uuid:patient_uuid>/history/", patients.PatientHistory.as_view(), name="api-patient-history"
    ),
    path(
        "patients/<uuid:patient_uuid>/rescore/", patients.PatientRescore.as_view(), name="api-patient-rescore"
    ),
    path(
        "patients/<uuid:patient_uuid>/merge/", patients.PatientMergeInto.as_view(), name="api-patient-merge"
    ),
    path("merges/<uuid:merge_id>/undo/", patients.MergeUndo.as_view(), name="api-merge-undo"),
    path("models/", models.ModelCollection.as_view(), name="api-models"),
    path("models/<uuid:model_id>/", models.ModelDetail.as_view(), name="api-model"),
    path("models/<uuid:model_id>/promote/", models.ModelPromote.as_view(), name="api-model-promote"),
    path(
        "models/<uuid:model_id>/monitoring/",
        monitoring.DriftSeries.as_view(),
        name="api-model-monitoring",
    ),
    path("monitoring/", monitoring.Monitoring.as_view(), name="api-monitoring"),
    path("alarms/", monitoring.AlarmCollection.as_view(), name="api-alarms"),
    path("alarms/<uuid:alarm_id>/", monitoring.AlarmDetail.as_view(), name="api-alarm"),
    path(
        "alarms/<uuid:alarm_id>/acknowledge/",
        monitoring.AlarmAcknowledge.as_view(),
        name="api-alarm-acknowledge",
    ),
    path("alarms/<uuid:alarm_id>/comment/", monitoring.AlarmComment.as_view(), name="api-alarm-comment"),
    path("alarms/<uuid:alarm_id>/close/", monitoring.AlarmClose.as_view(), name="api-alarm-close"),
    path("models/<uuid:model_id>/rollback/", models.ModelRollback.as_view(), name="api-model-rollback"),
    path(
        "models/<uuid:model_id>/promotion-gate/",
        promotion_gate.ModelPromotionGate.as_view(),
        name="api-model-promotion-gate",
    ),
    path("models/<uuid:model_id>/compare/", promotion_gate.ModelCompare.as_view(), name="api-model-compare"),
    path("models/<uuid:model_id>/shadow/", promotion_gate.ModelShadow.as_view(), name="api-model-shadow"),
    path("models/<uuid:model_id>/artifact/", models.ModelArtifact.as_view(), name="api-model-artifact"),
    path("models/<uuid:model_id>/card/", models.ModelCard.as_view(), name="api-model-card"),
    path("comparisons/", promotion_gate.ComparisonCollection.as_view(), name="api-comparisons"),
    path(
        "comparisons/<uuid:comparison_id>/", promotion_gate.ComparisonDetail.as_view(), name="api-comparison"
    ),
    path("promotion-policies/", promotion_gate.PolicyCollection.as_view(), name="api-promotion-policies"),
    path(
        "promotion-policies/current/",
        promotion_gate.PolicyCurrent.as_view(),
        name="api-promotion-policies-current",
    ),
    path("snapshots/", training.SnapshotCollection.as_view(), name="api-snapshots"),
    path("snapshots/<uuid:snapshot_id>/", training.SnapshotDetail.as_view(), name="api-snapshot"),
    path(
        "snapshots/<uuid:snapshot_id>/manifest/",
        training.SnapshotManifest.as_view(),
        name="api-snapshot-manifest",
    ),
    path("training-schedules/", training.ScheduleCollection.as_view(), name="api-training-schedules"),
    path(
        "training-schedules/<uuid:schedule_id>/",
        training.ScheduleDetail.as_view(),
        name="api-training-schedule",
    ),
    path("promotions/", models.PromotionCollection.as_view(), name="api-promotions"),
    path("training-runs/", training.RunCollection.as_view(), name="api-training-runs"),
    path("training-runs/<uuid:run_id>/", training.RunDetail.as_view(), name="api-training-run"),
    path("training-runs/<uuid:run_id>/log/", training.RunLog.as_view(), name="api-training-run-log"),
    path("training-runs/<uuid:run_id>/cancel/", training.RunCancel.as_view(), name="api-training-run-cancel"),
    path("audit-events/", service.AuditCollection.as_view(), name="api-audit-events"),
    path("webhooks/", webhooks.WebhookCollection.as_view(), name="api-webhooks"),
    path("webhooks/<uuid:webhook_id>/", webhooks.WebhookDetail.as_view(), name="api-webhook"),
    path("webhooks/<uuid:webhook_id>/secret/", webhooks.WebhookSecret.as_view(), name="api-webhook-secret"),
    path("webhooks/<uuid:webhook_id>/test/", webhooks.WebhookTest.as_view(), name="api-webhook-test"),
    path(
        "webhooks/<uuid:webhook_id>/deliveries/",
        webhooks.DeliveryCollection.as_view(),
        name="api-webhook-deliveries",
    ),
    path(
        "webhooks/<uuid:webhook_id>/deliveries/<uuid:delivery_id>/again/",
        webhooks.DeliveryAgain.as_view(),
        name="api-webhook-delivery-again",
    ),
    path("labels/", labels.LabelCollection.as_view(), name="api-labels"),
    path("labels/export/", labels.LabelExport.as_view(), name="api-labels-export"),
    path("labels/import/", labels.LabelImport.as_view(), name="api-labels-import"),
    path("scans/<uuid:scan_id>/labels/", labels.ScanLabels.as_view(), name="api-scan-labels"),
    path("label-queues/", queues.QueueCollection.as_view(), name="api-label-queues"),
    path("label-queues/<uuid:queue_id>/", queues.QueueDetail.as_view(), name="api-label-queue"),
    path("label-queues/<uuid:queue_id>/close/", queues.QueueClose.as_view(), name="api-label-queue-close"),
    path("label-queues/<uuid:queue_id>/next/", queues.QueueNext.as_view(), name="api-label-queue-next"),
    path(
        "label-queues/<uuid:queue_id>/agreement/",
        queues.QueueAgreement.as_view(),
        name="api-label-queue-agreement",
    ),
    path(
        "label-queues/<uuid:queue_id>/disputed/",
        queues.QueueDisputed.as_view(),
        name="api-label-queue-disputed",
    ),
    path("label-cases/<uuid:item_id>/", queues.CaseDetail.as_view(), name="api-label-case"),
    path("label-cases/<uuid:item_id>/label/", queues.CaseLabel.as_view(), name="api-label-case-label"),
    path(
        "label-cases/<uuid:item_id>/decision/", queues.CaseDecision.as_view(), name="api-label-case-decision"
    ),
    path("label-cases/<uuid:item_id>/preview/", media.CasePreview.as_view(), name="api-label-case-preview"),
    path("label-cases/<uuid:item_id>/display/", media.CaseDisplay.as_view(), name="api-label-case-display"),
    path("manifests/", labels.ManifestCollection.as_view(), name="api-manifests"),
    path("manifests/<uuid:manifest_id>/", labels.ManifestDetail.as_view(), name="api-manifest"),
    path(
        "manifests/<uuid:manifest_id>/images/",
        labels.ManifestImage.as_view(),
        name="api-manifest-images",
    ),
    path("phantoms/", service.Phantoms.as_view(), name="api-phantoms"),
    re_path(r".*[^/]$", service.MissingSlash.as_view(), name="api-missing-slash"),
]
