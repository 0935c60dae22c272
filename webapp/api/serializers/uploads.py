"""Uploads as the API tells them: what was handed in, before and beside what it became."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from rest_framework import serializers

from webapp.analysis.state import ScanStatus, State
from webapp.api.fields import Key
from webapp.api.serializers.problems import ProblemSerializer
from webapp.api.serializers.scans import Said, SaidDate, SaidModality, ScanSerializer
from webapp.scans.models import Upload, UploadStatus

MOST_IDS, MOST_FILES = 500, 100


class UploadSerializer(serializers.Serializer):
    """`file` is told to whoever may read scans, and to whoever handed it in."""

    id = serializers.UUIDField()
    status = serializers.ChoiceField(choices=UploadStatus.choices)
    reason = serializers.CharField(allow_null=True)
    file = serializers.CharField(allow_null=True)
    size = serializers.IntegerField()
    sha256 = serializers.CharField()
    archive = serializers.UUIDField(allow_null=True)
    unpacked = serializers.BooleanField(help_text="an archive that has become the uploads of its images")
    received_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)


def upload_answer(upload: Upload, *, named: bool) -> dict[str, Any]:
    return {
        "id": upload.pk,
        "status": upload.status,
        "reason": upload.refusal or upload.error_code or None,
        "file": upload.filename or None if named else None,
        "size": upload.size,
        "sha256": upload.sha256,
        "archive": upload.parent_id,
        "unpacked": upload.is_unpacked,
        "received_at": upload.created_at,
        "finished_at": upload.finished_at,
    }


class IdsSerializer(serializers.Serializer):
    ids = serializers.ListField(child=Key(), min_length=1, max_length=MOST_IDS)


class StateSerializer(serializers.Serializer):
    """How far one upload has come; `finished` when nothing more will happen by itself."""

    id = serializers.UUIDField()
    status = serializers.ChoiceField(choices=ScanStatus.choices)
    reason = serializers.CharField(allow_null=True)
    finished = serializers.BooleanField()


class StatesSerializer(serializers.Serializer):
    """Those of other sites, and those that do not exist, are left out."""

    results = StateSerializer(many=True)


def state_answer(key: UUID, state: State) -> dict[str, Any]:
    return {
        "id": key,
        "status": state.status.value,
        "reason": state.reason or None,
        "finished": state.finished,
    }


class BulkSerializer(serializers.Serializer):
    """`files`: as many parts of that name as there are files; the claims are made of each of them."""

    files = serializers.ListField(
        child=serializers.FileField(allow_empty_file=True), min_length=1, max_length=MOST_FILES
    )
    patient_id = Said("PatientID (0010,0020), for a file that says none")
    study = Said("AccessionNumber or StudyInstanceUID, for a file that says none")
    date = SaidDate("StudyDate (0008,0020) as YYYY-MM-DD, for a file that says none")
    modality = SaidModality("auto, cxr or ct")


class BulkResultSerializer(serializers.Serializer):
    """What became of one file: `status` is what `POST /scans/` would have answered for it alone."""

    file = serializers.CharField()
    status = serializers.IntegerField()
    scan = ScanSerializer(allow_null=True)
    problem = ProblemSerializer(allow_null=True)


class BulkAnswerSerializer(serializers.Serializer):
    results = BulkResultSerializer(many=True)
