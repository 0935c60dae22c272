"""Uploads: the files as they arrived, and how far each has been processed."""

from __future__ import annotations

from webapp.analysis.state import ScanStatus
from webapp.api import fields as f
from webapp.api.serializers.base import RequestSerializer
from webapp.api.serializers.problems import ProblemSerializer
from webapp.api.serializers.scans import REASON, ScanSerializer, StatedMetadataSerializer
from webapp.scans.models import Upload, UploadStatus

MAX_IDS, MAX_FILES = 500, 100


class UploadSerializer(f.Serializer):
    """`context["named_for"]` decides by upload whether the caller may see the file name."""

    id = f.IdField()
    status = f.ChoiceField(UploadStatus.choices, help_text="`refused` is final; `failed` can be retried")
    reason = f.SerializerMethodField(help_text=REASON)
    file = f.SerializerMethodField(
        help_text="file name; null if the site keeps none or the caller may not see it"
    )
    size = f.IntegerField(help_text="size in bytes")
    sha256 = f.CharField(help_text="SHA-256 of the file")
    archive = f.UUIDField(
        source="parent_id", allow_null=True, help_text="ID of the archive it came in; null if none"
    )
    unpacked = f.BooleanField(source="is_unpacked", help_text="an archive that was unpacked into its images")
    received_at = f.DateTimeField(source="created_at", help_text="when it was uploaded")
    finished_at = f.DateTimeField(allow_null=True, help_text="when processing ended; null if it has not")

    def get_reason(self, upload: Upload) -> str | None:
        return upload.refusal or upload.error_code or None

    def get_file(self, upload: Upload) -> str | None:
        return (upload.filename or None) if self.context["named_for"](upload) else None


class UploadIdsSerializer(RequestSerializer):
    ids = f.ListField(child=f.UUIDField(), min_length=1, max_length=MAX_IDS, help_text="IDs of uploads")


class UploadProgressSerializer(f.Serializer):
    """How far one upload has been processed. Unknown uploads and those of other sites are left out."""

    id = f.UUIDField(help_text="ID of the upload, and of the scan that a single image becomes")
    status = f.ChoiceField(ScanStatus.choices, help_text="processing status")
    reason = f.TextOrNullField(help_text=REASON)
    finished = f.BooleanField(help_text="whether the status is final unless somebody acts")


class BulkUploadSerializer(StatedMetadataSerializer):
    """`files`: one part of that name per file; the stated metadata applies to each of them."""

    files = f.ListField(
        child=f.FileField(allow_empty_file=True),
        min_length=1,
        max_length=MAX_FILES,
        help_text="DICOM, PNG, JPEG, TIFF or WebP images, or ZIPs",
    )


class BulkUploadResultSerializer(f.Serializer):
    """The outcome for one file, in the order of the request."""

    file = f.CharField(help_text="file name")
    status = f.IntegerField(help_text="the HTTP status that `POST /scans/` would have returned for this file")
    scan = ScanSerializer(allow_null=True, help_text="the scan; null if the file was not accepted")
    problem = ProblemSerializer(allow_null=True, help_text="why the file was not accepted; null if it was")


class BulkUploadOutcomeSerializer(f.Serializer):
    results = BulkUploadResultSerializer(many=True, help_text="one per file, in the order of the request")
