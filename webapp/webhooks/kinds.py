"""What programs can be told of. A kind, once published, keeps its name and its meaning."""

from __future__ import annotations

from django.db import models


class Kind(models.TextChoices):
    SCAN_CREATED = "scan.created", "a file was read and has become a scan"
    SCAN_MOVED = "scan.moved", "a scan was filed to another patient"
    UPLOAD_REFUSED = "upload.refused", "a file is no image that can be read"
    UPLOAD_FAILED = "upload.failed", "a file could not be read this time"
    ANALYSIS_DONE = "analysis.done", "a model has answered, or given its reason not to"
    ANALYSIS_FAILED = "analysis.failed", "an analysis went wrong"
    PATIENT_MERGED = "patient.merged", "two records of a patient became one"
    PATIENT_UNMERGED = "patient.unmerged", "a merge was undone"
    TEST = "webhook.test", "somebody asked for a trial"


KINDS = [(kind.value, kind.value) for kind in Kind]
# Whoever subscribes to nothing in particular gets all; a trial goes to the one that it was asked for.
SUBSCRIBABLE = [kind.value for kind in Kind if kind is not Kind.TEST]
