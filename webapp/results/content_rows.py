"""What result objects are made from, read from the rows of scans, analyses, readings and marks."""

from __future__ import annotations

from collections.abc import Iterable
from zoneinfo import ZoneInfo

from django.conf import settings

from classifier.images.geometry import turns
from webapp.accounts.models import Site, User
from webapp.analysis.models import Analysis
from webapp.analysis.result_warnings import warnings_of
from webapp.labels.marks.models import ImageMark
from webapp.labels.models import Reading
from webapp.results.objects.content import (
    AnalysisResult,
    FindingValue,
    Geometry,
    Maker,
    Reference,
    SavedMark,
    SignedReading,
    SourceImage,
)
from webapp.results.objects.dataset import CONVERTED_CLASS
from webapp.results.objects.uids import uid_of
from webapp.scans.models import Scan
from webapp.scans.pixels import orientation_of


def source_of(scan: Scan) -> SourceImage:
    """The scan as a source image, under the UIDs of its file; a PNG or JPEG under those it was filed with."""
    study, patient, metadata = scan.study, scan.patient, scan.metadata
    sop_class = str(metadata.get("SOPClassUID") or "")
    converted = not sop_class or not metadata.get("SOPInstanceUID")
    relative = study.date_is_relative
    return SourceImage(
        reference=Reference(
            study.study_instance_uid,
            scan.series.series_instance_uid,
            CONVERTED_CLASS if converted else sop_class,
            scan.sop_instance_uid,
        ),
        geometry=_geometry(scan),
        modality=scan.series.modality or "OT",
        patient_id=patient.patient_id,
        issuer=patient.issuer,
        patient_name=patient.name,
        birth_date=patient.birth_date,
        sex=patient.sex,
        accession_number=study.accession_number,
        study_date=None if relative else study.study_date,
        study_time=None if relative else study.study_time,
        study_description=study.description,
        orientation=tuple(orientation_of(scan) or ()),
        converted=converted,
        burned_in=bool(scan.notes.get("burned_in")),
        synthetic=scan.synthetic,
    )


def _geometry(scan: Scan) -> Geometry:
    shown, steps = (scan.rows, scan.columns), ()
    if turned := scan.notes.get("turned"):
        steps = turns(str(turned.get("stored", "")).split("\\"))
    squared = scan.notes.get("square_pixels")
    rows, columns = (squared["rows"], squared["columns"]) if squared else shown
    if "transpose" in steps:
        rows, columns = columns, rows
    return Geometry(rows, columns, shown, steps)


def result_of(analysis: Analysis) -> AnalysisResult:
    """The result of a finished analysis, in the site's time."""
    version, thresholds = analysis.model_version, analysis.thresholds
    stored = getattr(analysis, "stored_cam", None)
    return AnalysisResult(
        id=analysis.pk,
        finished_at=(analysis.finished_at or analysis.created_at).astimezone(
            ZoneInfo(analysis.scan.site.timezone)
        ),
        model=str(version),
        model_name=version.name,
        model_sha256=version.sha256,
        calibration=analysis.calibration_name,
        calibrated=version.model_spec.calibrated or analysis.calibration is not None,
        values=[
            FindingValue(finding, analysis.probabilities[finding], thresholds[finding])
            for finding in version.model_spec.findings
            if finding in analysis.probabilities
        ],
        finding=analysis.finding,
        withheld=analysis.abstention,
        warnings=tuple(analysis.warnings),
        warning_texts=tuple(f"{warning.text} {warning.remedy}" for warning in warnings_of(analysis)),
        uncertainty=analysis.uncertainty,
        prediction_set=tuple((analysis.prediction_set or {}).get("findings", ())),
        cam=stored.cam if stored else None,
    )


def reading_of(reading: Reading) -> SignedReading:
    return SignedReading(
        id=reading.pk,
        signed_at=reading.created_at.astimezone(ZoneInfo(reading.site.timezone)),
        person=person_name(reading.reader, reading.signed_as),
        findings=tuple(reading.findings),
        impression=reading.comment,
        comparison=reading.comparison,
        sha256=reading.sha256,
    )


def marks_of_author(marks: Iterable[ImageMark]) -> list[SavedMark]:
    return [
        SavedMark(
            mark.pk,
            mark.created_at,
            mark.kind,
            [tuple(point) for point in mark.points],
            mark.text,
            mark.values,
        )
        for mark in marks
    ]


def person_name(user: User, signed_as: str) -> str:
    """A DICOM person name: family and given name of the account, else the signed name as the family name."""
    if user.last_name and user.get_full_name() == signed_as:
        parts = f"{user.last_name}^{user.first_name}"
    else:
        parts = f"{signed_as}^"
    return parts.replace("\\", " ").replace("=", " ")[:64]


def maker_of(site: Site) -> Maker:
    """This installation at this site, as the device that states results."""
    return Maker(
        site=site.name,
        version=str(settings.SPECTACULAR_SETTINGS["VERSION"]),
        serial=site.pk.hex[:16],
        device_uid=uid_of("device", site.pk),
    )
