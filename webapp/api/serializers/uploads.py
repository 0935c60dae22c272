"""Uploads: files as they arrived, how far each was processed, what is wrong with one, manifests of files."""

from __future__ import annotations

from typing import Any

from classifier.data.tables.dates import DateOrder
from classifier.data.tables.manifest import ManifestLine, ManifestTable
from classifier.data.tables.table import shown
from classifier.text_encoding import LABELS
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


MAX_NAMES = 40_000


class TableReadingSerializer(RequestSerializer):
    date_order = f.ChoiceField(
        ["", *DateOrder],
        required=False,
        default="",
        help_text="what `05/03/2024` is: `dmy` 5 March, `mdy` 3 May; empty: as the site has stated before",
    )
    encoding = f.ChoiceField(
        ["", *sorted(LABELS)], required=False, default="", help_text="encoding of the text; empty: detected"
    )


class UploadManifestSerializer(TableReadingSerializer):
    file = f.UploadedFileField(help_text="CSV, as spreadsheets save it, with the columns image and patient")
    names = f.StrictCharField(
        max_length=MAX_NAMES,
        required=False,
        default="",
        allow_blank=True,
        help_text="file names that the manifest may list, one a line; they settle its encoding",
    )


class InvalidLineSerializer(f.Serializer):
    line = f.IntegerField(help_text="line in the file; the header is line 1")
    column = f.CharField(help_text="column of the value, empty where the whole line is wrong")
    value = f.SerializerMethodField(help_text="the value")
    detail = f.CharField(source="text", help_text="what is wrong")

    def get_value(self, problem: Any) -> str:
        return shown(problem.value)


class ManifestRowSerializer(f.Serializer):
    """What a line states of its image, by the names of `POST /scans/`."""

    line = f.IntegerField(source="number", help_text="line in the file; the header is line 1")
    image = f.SerializerMethodField(help_text="path of the image as it is written")
    patient_id = f.SerializerMethodField(help_text="patient ID")
    date = f.DateField(allow_null=True, help_text="study date; null if not stated")
    offset_days = f.IntegerField(allow_null=True, help_text="days after day 0; null if not stated")
    view = f.SerializerMethodField(help_text="view, empty if not stated")
    sex = f.SerializerMethodField(help_text="sex, empty if not stated")
    age = f.SerializerMethodField(help_text="age, empty if not stated")

    def get_image(self, line: ManifestLine) -> str:
        return line.get("image")

    def get_patient_id(self, line: ManifestLine) -> str:
        return line.get("patient")

    def get_view(self, line: ManifestLine) -> str:
        return line.get("view")

    def get_sex(self, line: ManifestLine) -> str:
        return line.get("sex")

    def get_age(self, line: ManifestLine) -> str:
        return line.get("age")


class ManifestRowsSerializer(f.Serializer):
    """A manifest as it was read; nothing was stored."""

    encoding = f.SerializerMethodField(help_text="name of the encoding")
    encoding_guessed = f.BooleanField(
        source="table.encoding_guessed", help_text="whether other encodings fit as well"
    )
    separator = f.CharField(
        source="table.separator", trim_whitespace=False, help_text="character between cells"
    )
    date_order = f.TextOrNullField(help_text="what dates such as 05/03/2024 were read as; null without any")
    dates_unclear = f.BooleanField(help_text="whether `date_order` must be stated")
    rows = ManifestRowSerializer(source="lines", many=True, help_text="lines without a problem")
    problems = InvalidLineSerializer(many=True, help_text="every problem of the other lines")

    def get_encoding(self, manifest: ManifestTable) -> str:
        return LABELS[manifest.table.encoding]
