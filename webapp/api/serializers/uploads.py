"""Uploads: the files as they arrived, how far each has been processed, and what is wrong with one."""

from __future__ import annotations

from webapp.analysis.state import ScanStatus
from webapp.api import fields as f
from webapp.api.serializers.base import RequestSerializer
from webapp.api.serializers.scans import REASON, ScanSerializer, StatedMetadataSerializer
from webapp.scans.models import Upload, UploadStatus


class ProblemSerializer(f.Serializer):
    """RFC 9457 problem details. `code` is stable: docs/api-errors.md lists each with its remedy."""

    type = f.CharField(help_text="urn:hilum:error:CODE")
    title = f.CharField(help_text="the HTTP status in words")
    status = f.IntegerField(help_text="the HTTP status")
    detail = f.CharField(help_text="what is wrong")
    code = f.CharField(help_text="stable code for programs, such as `not_found`")
    remedy = f.CharField(help_text="what to do about it")
    request_id = f.CharField(help_text="also in the header X-Request-ID and the server log")
    errors = f.DictField(
        child=f.ListField(child=f.CharField()),
        required=False,
        help_text="field or parameter to what is wrong with it",
    )
    scope = f.CharField(required=False, help_text="scope that the token lacks, with `insufficient_scope`")
    permission = f.CharField(required=False, help_text="permission that the role lacks, with `forbidden`")


MAX_IDS, MAX_FILES = 500, 100


class UploadSerializer(f.Serializer):
    """`context["named_for"]` decides by upload whether the caller may see the file name."""

    id = f.IdField()
    status = f.ChoiceField(UploadStatus.choices, help_text="`refused` is final; `failed` can be retried")
    reason = f.SerializerMethodField(help_text=REASON)
    file = f.SerializerMethodField(help_text="file name; null if not kept or hidden from the caller")
    size = f.IntegerField(help_text="size in bytes")
    sha256 = f.CharField(help_text="SHA-256 of the file")
    archive = f.UUIDOrNullField("parent_id", "ID of the archive it came in; null if none")
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
