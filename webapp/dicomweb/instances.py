"""The instances that DICOMweb serves: source images that came as DICOM, and result objects."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db.models import Exists, F, OuterRef, Q, QuerySet
from pydicom.uid import ExplicitVRLittleEndian

from webapp.accounts.models import User
from webapp.accounts.services import for_sites
from webapp.results.kinds import ObjectKind
from webapp.results.models import ResultObject
from webapp.scans.models import Scan, Study

# What the parser stated of a file's header; an image that came as PNG or JPEG has none.
IS_DICOM = Q(metadata__TransferSyntaxUID__isnull=False)
SERIES_KEYWORDS = ("Modality", "SeriesNumber", "SeriesDescription", "SeriesDate", "SeriesTime", "Laterality")
INSTANCE_KEYWORDS = ("InstanceNumber", "Rows", "Columns", "ContentDate", "ContentTime", "BitsStored")
# Of the objects made of results (PS3.3 C.7.3.1.1.1).
MODALITIES = {
    ObjectKind.RESULT: "SR",
    ObjectKind.READING: "SR",
    ObjectKind.MARKS: "SR",
    ObjectKind.PDF: "DOC",
    ObjectKind.HEATMAP: "PR",
    ObjectKind.KEY_IMAGES: "KO",
}


@dataclass(frozen=True)
class Instance:
    """One SOP instance with its stored file. `attributes`: of its series and its own, by keyword.

    `scan`: the source image, which has a preview; None for a result object.
    """

    study: Study
    series_uid: str
    sop_class: str
    sop_uid: str
    stored_name: str
    transfer_syntax: str
    attributes: dict[str, Any] = field(default_factory=dict)
    scan: Scan | None = None


def studies_served(user: User) -> QuerySet[Study]:
    """The user's studies with at least one image that came as DICOM; newest first."""
    own = Scan.objects.filter(IS_DICOM, series__study=OuterRef("pk"))
    visible = for_sites(Study.objects.all(), user, "scan.view").filter(Exists(own))
    return visible.select_related("patient", "site").order_by("-study_at", "pk")


def instances_of(studies: Collection[Study]) -> dict[UUID, list[Instance]]:
    """The instances of each study, by its key: images first, then the objects made of results."""
    found: dict[UUID, list[Instance]] = {study.pk: [] for study in studies}
    by_key = {study.pk: study for study in studies}
    for instance in (*_images(by_key), *result_instances(studies)):
        found[instance.study.pk].append(instance)
    return found


def result_instances(studies: Collection[Study]) -> Iterable[Instance]:
    """The stored objects made of these studies' results, readings and marks, which nothing supersedes.

    Left out: rejection notes, and objects of a scan that was filed to another study since.
    """
    by_key = {study.pk: study for study in studies}
    still_there = Q(scan=None) | Q(scan__series__study=F("study"))
    objects = ResultObject.objects.filter(still_there, study__in=by_key, superseded_by=None)
    for one in objects.exclude(kind=ObjectKind.REJECTION):
        study = by_key.get(one.study_id) if one.study_id else None
        if study is None:
            continue
        yield Instance(
            study=study,
            series_uid=one.series_instance_uid,
            sop_class=one.sop_class_uid,
            sop_uid=one.sop_instance_uid,
            stored_name=one.stored_name,
            transfer_syntax=str(ExplicitVRLittleEndian),
            attributes={"Modality": MODALITIES.get(ObjectKind(one.kind), "OT"), "InstanceNumber": one.number},
        )


def _images(studies: dict[UUID, Study]) -> Iterable[Instance]:
    """Of images with one SOPInstanceUID and other pixels, the one that came last."""
    later = Scan.objects.filter(
        series__study=OuterRef("series__study"),
        sop_instance_uid=OuterRef("sop_instance_uid"),
        received_at__gt=OuterRef("received_at"),
    )
    scans = Scan.objects.filter(IS_DICOM, ~Exists(later), series__study__in=studies)
    seen = set()
    for scan in scans.select_related("series", "upload").order_by("series__created_at", "received_at", "pk"):
        if (scan.series.study_id, scan.sop_instance_uid) not in seen:
            seen.add((scan.series.study_id, scan.sop_instance_uid))
            yield _image(scan, studies[scan.series.study_id])


def _image(scan: Scan, study: Study) -> Instance:
    stated = scan.metadata
    kept = {name: stated.get(name) for name in (*SERIES_KEYWORDS, *INSTANCE_KEYWORDS)}
    return Instance(
        study=study,
        series_uid=scan.series.series_instance_uid,
        sop_class=str(stated.get("SOPClassUID") or ""),
        sop_uid=scan.sop_instance_uid,
        stored_name=scan.upload.stored_name,
        transfer_syntax=str(stated.get("TransferSyntaxUID")),
        attributes=kept | {"Modality": scan.series.modality},
        scan=scan,
    )
