"""Kinds of webhook events; a published kind keeps its name and meaning."""

from __future__ import annotations

from django.db import models


class EventKind(models.TextChoices):
    SCAN_CREATED = "scan.created", "a file was processed into a scan"
    SCAN_MOVED = "scan.moved", "a scan was moved to another patient"
    UPLOAD_REFUSED = "upload.refused", "a file was refused"
    UPLOAD_FAILED = "upload.failed", "a file could not be processed"
    ANALYSIS_DONE = "analysis.done", "an analysis has a result or a reason for withholding it"
    ANALYSIS_FAILED = "analysis.failed", "an analysis failed"
    STUDY_URGENT = "study.urgent", "an unread study became urgent"
    PATIENT_MERGED = "patient.merged", "two patient records were merged"
    PATIENT_UNMERGED = "patient.unmerged", "a merge was undone"
    TEST = "webhook.test", "a test event was requested"


KINDS = [(kind.value, kind.value) for kind in EventKind]
# The default of a subscription; a test event goes only to the webhook that it was requested for.
SUBSCRIBABLE = [kind.value for kind in EventKind if kind is not EventKind.TEST]
