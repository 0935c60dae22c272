"""A scan, an upload that is to become one, or an archive: one object for the serializer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from classifier.reasons import Advice
from webapp.analysis.archives import archive_members
from webapp.analysis.models import Analysis
from webapp.analysis.selectors import scan_analyses
from webapp.analysis.state import ScanStatus, State, state_of
from webapp.scans.models import ArchiveMember, Patient, Scan, Upload
from webapp.scans.selectors import scan_notes

MEMBERS_AT_ONCE = 500
FILED_ELSEWHERE = State(ScanStatus.REFUSED, "patient_conflict")
FAILURES = {
    "upload_failed": Advice("The file could not be processed.", "Upload the same file again to retry."),
    "failed": Advice("The analysis failed.", "POST to /scans/{id}/retry/."),
}


@dataclass
class ScanRecord:
    """`analyses` are the scan's, newest first; an archive's members are shown from the `first` on.

    For a caller who may not `read`, an upload stands for its scan: no patient, no result.
    """

    record: Scan | Upload
    analyses: Sequence[Analysis] = ()
    first: int = 0
    read: bool = True

    @classmethod
    def of(cls, record: Scan | Upload, *, first: int = 0) -> ScanRecord:
        return cls(record, scan_analyses(record) if isinstance(record, Scan) else (), first)

    @cached_property
    def scan(self) -> Scan | None:
        return self.record if isinstance(self.record, Scan) else None

    @cached_property
    def upload(self) -> Upload:
        return self.scan.upload if self.scan else self.record

    @cached_property
    def state(self) -> State:
        return state_of(self.record, self.analyses if self.scan else None)

    @property
    def advice(self) -> Advice | None:
        return self.state.advice or FAILURES.get(self.state.status)

    @property
    def patient(self) -> Patient | None:
        return self.scan.patient if self.scan else None

    @property
    def patient_id(self) -> str:
        if self.patient:
            return self.patient.patient_id
        return self.upload.stated_patient_id if self.read else ""

    @property
    def modality(self) -> str:
        return self.scan.slot if self.scan else self.upload.stated_modality

    @property
    def synthetic(self) -> bool:
        return bool(self.scan and self.scan.synthetic)

    @property
    def polarity_turned(self) -> bool:
        return bool(self.scan and self.scan.polarity_turned)

    @property
    def notes(self) -> dict[str, Any]:
        return scan_notes(self.scan) if self.scan else {}

    @property
    def members(self) -> list[Member]:
        if not (self.read and self.state.archive):
            return []
        return list(map(Member, archive_members(self.upload, first=self.first, most=MEMBERS_AT_ONCE)))

    @property
    def members_total(self) -> int:
        return self.state.archive.images if self.read and self.state.archive else 0

    @property
    def skipped(self) -> list[dict[str, Any]]:
        return self.upload.skipped if self.read and self.state.archive else []


@dataclass
class Member:
    """An image of an archive; without an upload where the same file belongs to another patient."""

    member: ArchiveMember

    @cached_property
    def state(self) -> State:
        return state_of(self.member.upload) if self.member.upload else FILED_ELSEWHERE
