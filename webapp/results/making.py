"""The objects of a delivery: made when first needed, then kept, so that a retry sends the same bytes.

Not for use inside a transaction: it reads images and writes files.
"""

from __future__ import annotations

import hashlib
import io
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pydicom
from django.conf import settings
from django.db import IntegrityError, transaction

from webapp.accounts.models import Site, User
from webapp.analysis.models import Analysis
from webapp.core import storage
from webapp.labels.marks.key_images import key_images_of
from webapp.labels.marks.selectors import marks_of
from webapp.labels.models import Reading
from webapp.results import content_rows
from webapp.results.deliveries import finished_analysis
from webapp.results.kinds import ObjectKind
from webapp.results.models import ResultDelivery, ResultObject
from webapp.results.objects import (
    capture,
    encapsulated_pdf,
    key_objects,
    mark_report,
    presentation,
    reading_report,
    result_report,
)
from webapp.results.objects.content import Document, Maker, Reference, SourceImage
from webapp.results.objects.uids import digest_of, uid_of
from webapp.results.report import report_pdf
from webapp.scans.models import Scan
from webapp.scans.pixels import grey_levels, windowed

FORMAT = 1  # raise it when the same content is written differently
SR_KINDS = (ObjectKind.RESULT, ObjectKind.READING, ObjectKind.MARKS)
Build = Callable[[Maker, Document], bytes]


@dataclass(frozen=True)
class Wanted:
    """An object that a delivery needs: its subject, what its content follows from, and how to write it."""

    kind: ObjectKind
    source: SourceImage
    content: Any
    made_at: datetime
    build: Build
    scan: Scan | None = None
    analysis: Analysis | None = None
    reading: Reading | None = None
    author: User | None = None


def objects_of(delivery: ResultDelivery) -> list[ResultObject]:
    """All objects of the delivery in the order in which to send them; those that do not exist yet are made.

    Raises FileNotFoundError or ValueError where an image is missing or damaged.
    """
    site = delivery.destination.site
    made = [_object(site, wanted, delivery) for wanted in _wanted(delivery)]
    rejected = list(delivery.rejects.order_by("study_instance_uid", "pk"))
    made += [_object(site, wanted, delivery) for wanted in _rejections(rejected, delivery)]
    return made


def _wanted(delivery: ResultDelivery) -> Iterator[Wanted]:
    kinds = {ObjectKind(kind) for kind in delivery.kinds}
    for scan in scans_of(delivery):
        source = content_rows.source_of(scan)
        if source.converted:
            yield _image(scan, source)
        analysis = delivery.analysis or finished_analysis(scan)
        if analysis:
            yield from (one for one in _of_analysis(scan, source, analysis) if one.kind in kinds)
        if ObjectKind.MARKS in kinds:
            yield from _marks(scan, source)
        if ObjectKind.KEY_IMAGES in kinds:
            yield from _key_images(scan, source)
    for reading in readings_of(delivery):
        yield from _reading(reading)


def scans_of(delivery: ResultDelivery) -> list[Scan]:
    """The delivery's scan, or those of its reading."""
    scans = Scan.objects.select_related("series__study__patient", "site").order_by("received_at", "pk")
    if delivery.scan_id:
        return list(scans.filter(pk=delivery.scan_id))
    return list(scans.filter(read_scans__reading=delivery.reading_id))


def readings_of(delivery: ResultDelivery) -> list[Reading]:
    """The delivery's reading, else the current readings of its scan; none unless they are to be sent."""
    if ObjectKind.READING not in delivery.kinds:
        return []
    if delivery.reading:
        return [delivery.reading]
    found = Reading.objects.filter(read_scans__scan=delivery.scan_id, superseded_by=None)
    return list(found.select_related("reader", "site", "study").order_by("created_at"))


def _image(scan: Scan, source: SourceImage) -> Wanted:
    def build(maker: Maker, document: Document) -> bytes:
        levels = np.frombuffer(grey_levels(scan), dtype="<u2").reshape(scan.rows, scan.columns)
        return capture.converted_image(source, levels, maker, document)

    return Wanted(
        ObjectKind.IMAGE, source, scan.display_sha256, _at_site(scan.received_at, scan.site), build, scan
    )


def _of_analysis(scan: Scan, source: SourceImage, analysis: Analysis) -> Iterator[Wanted]:
    result = content_rows.result_of(analysis)
    content = [analysis.pk, analysis.finished_at]

    def pdf(maker: Maker, document: Document) -> bytes:
        return encapsulated_pdf.encapsulated_pdf(source, report_pdf(scan, document.made_at), maker, document)

    def overlay(maker: Maker, document: Document) -> bytes:
        grey = windowed(scan, scan.window_width, scan.window_center)
        return capture.overlay_capture(source, result, grey, maker, document)

    builds: dict[ObjectKind, Build] = {
        ObjectKind.RESULT: lambda maker, document: result_report.result_report(
            source, result, maker, document
        ),
        ObjectKind.OVERLAY: overlay,
        ObjectKind.PDF: pdf,
        ObjectKind.HEATMAP: lambda maker, document: presentation.heatmap_presentation(
            source, result, maker, document
        ),
    }
    for kind, build in builds.items():
        # The report also shows readings, marks and key images.
        extra = _shown_in_report(scan) if kind == ObjectKind.PDF else []
        yield Wanted(kind, source, [content, extra], result.finished_at, build, scan, analysis)


def _shown_in_report(scan: Scan) -> list[Any]:
    readings = Reading.objects.filter(read_scans__scan=scan, superseded_by=None).order_by("pk")
    marks, views = marks_of(scan).order_by("pk"), key_images_of(scan).order_by("pk")
    return [list(rows.values_list("pk", flat=True)) for rows in (readings, marks, views)]


def _marks(scan: Scan, source: SourceImage) -> Iterator[Wanted]:
    by_author: dict[User, list[Any]] = {}
    for mark in marks_of(scan).select_related("author"):
        by_author.setdefault(mark.author, []).append(mark)
    for author, theirs in by_author.items():
        saved = content_rows.marks_of_author(theirs)
        name = content_rows.person_name(author, theirs[-1].signed_as)

        def build(maker: Maker, document: Document, name: str = name, saved: Any = saved) -> bytes:
            return mark_report.mark_report(source, name, saved, maker, document)

        made_at = _at_site(max(mark.created_at for mark in theirs), scan.site)
        ids = [mark.pk for mark in theirs]
        yield Wanted(ObjectKind.MARKS, source, ids, made_at, build, scan, author=author)


def _key_images(scan: Scan, source: SourceImage) -> Iterator[Wanted]:
    by_author: dict[User, list[Any]] = {}
    for one in key_images_of(scan).select_related("author"):
        by_author.setdefault(one.author, []).append(one)
    for author, theirs in by_author.items():
        views = [f"window {one.view['width']:g}/{one.view['level']:g}" for one in theirs]
        name = content_rows.person_name(author, theirs[-1].signed_as)

        def build(maker: Maker, document: Document, name: str = name, views: Any = views) -> bytes:
            return key_objects.key_image_selection(source, name, views, maker, document)

        made_at = _at_site(max(one.created_at for one in theirs), scan.site)
        ids = [one.pk for one in theirs]
        yield Wanted(ObjectKind.KEY_IMAGES, source, ids, made_at, build, scan, author=author)


def _reading(reading: Reading) -> Iterator[Wanted]:
    """One report for each study that the reading's images are filed to now."""
    signed = content_rows.reading_of(reading)
    scans = reading.scans.select_related("series__study__patient", "site").order_by("received_at", "pk")
    by_study: dict[uuid.UUID, list[SourceImage]] = {}
    for scan in scans:
        by_study.setdefault(scan.series.study_id, []).append(content_rows.source_of(scan))
    for sources in by_study.values():

        def build(maker: Maker, document: Document, sources: Sequence[SourceImage] = sources) -> bytes:
            return reading_report.reading_report(sources, signed, maker, document)

        content = [reading.pk, [source.reference.sop_uid for source in sources]]
        yield Wanted(
            ObjectKind.READING,
            sources[0],
            content,
            signed.signed_at,
            build,
            reading=reading,
            author=reading.reader,
        )


def _rejections(rejected: Sequence[ResultObject], delivery: ResultDelivery) -> Iterator[Wanted]:
    """A note for each study in which objects were sent that are now filed elsewhere."""
    by_study: dict[str, list[ResultObject]] = {}
    for one in rejected:
        by_study.setdefault(one.study_instance_uid, []).append(one)
    for objects in by_study.values():
        source = _source_then(objects[0])
        references = [_reference(one) for one in objects]

        def build(
            maker: Maker,
            document: Document,
            source: SourceImage = source,
            references: Sequence[Reference] = references,
        ) -> bytes:
            why = "The image was filed to another patient or study."
            return key_objects.rejection_note(source, references, maker, document, why)

        made_at = _at_site(delivery.created_at, delivery.destination.site)
        content = [one.sop_instance_uid for one in objects]
        yield Wanted(ObjectKind.REJECTION, source, content, made_at, build)


def _source_then(one: ResultObject) -> SourceImage:
    """The patient and study that an object states, read from our own file."""
    with storage.open_file(one.stored_name) as file:
        header = pydicom.dcmread(file, stop_before_pixels=True)
    scans = Scan.objects.select_related("series__study__patient", "site")
    about = scans.filter(pk=one.scan_id) if one.scan_id else scans.filter(read_scans__reading=one.reading_id)
    now = content_rows.source_of(about.order_by("received_at", "pk")[0])
    day = str(header.get("StudyDate") or "")
    return replace(
        now,
        reference=replace(now.reference, study_uid=one.study_instance_uid),
        patient_id=one.patient_id,
        issuer=one.issuer,
        patient_name=str(header.get("PatientName") or ""),
        birth_date=_day(str(header.get("PatientBirthDate") or "")),
        sex=str(header.get("PatientSex") or ""),
        accession_number=str(header.get("AccessionNumber") or ""),
        study_date=_day(day),
        study_time=None,
    )


def _day(text: str) -> Any:
    return datetime.strptime(text, "%Y%m%d").date() if text else None


def _reference(one: ResultObject) -> Reference:
    return Reference(one.study_instance_uid, one.series_instance_uid, one.sop_class_uid, one.sop_instance_uid)


def _object(site: Site, wanted: Wanted, delivery: ResultDelivery) -> ResultObject:
    """The stored object with this content, or a new one that supersedes the earlier one about the same."""
    digest = digest_of([FORMAT, wanted.kind, asdict(wanted.source), wanted.content])
    earlier = _earlier(site, wanted)
    if earlier and earlier.digest == digest:
        return earlier
    study_uid = wanted.source.reference.study_uid
    subject = [wanted.scan and wanted.scan.pk, wanted.author and wanted.author.pk]
    if wanted.kind == ObjectKind.IMAGE:
        series_uid, sop_uid = wanted.source.reference.series_uid, wanted.source.reference.sop_uid
    else:
        series_uid = uid_of("series", site.pk, wanted.kind, study_uid, *subject)
        sop_uid = uid_of("object", site.pk, *subject, digest, earlier.sop_instance_uid if earlier else "")
    made_at = wanted.made_at
    if earlier and earlier.made_at >= made_at:
        made_at = _at_site(delivery.created_at, site)
    replaces = [_reference(earlier)] if earlier and wanted.kind in SR_KINDS else []
    number = earlier.number + 1 if earlier else 1
    document = Document(series_uid, sop_uid, number, made_at, replaces)
    encoded = wanted.build(content_rows.maker_of(site), document)
    return _stored(site, wanted, document, digest, encoded, earlier)


def _earlier(site: Site, wanted: Wanted) -> ResultObject | None:
    rows = ResultObject.objects.filter(site=site, kind=wanted.kind, superseded_by=None)
    if wanted.kind == ObjectKind.REJECTION:
        rows = rows.filter(study_instance_uid=wanted.source.reference.study_uid)
    else:
        rows = rows.filter(scan=wanted.scan, author=wanted.author)
    if wanted.reading:
        line = [wanted.reading.pk, wanted.reading.supersedes_id]
        rows = rows.filter(reading__in=[key for key in line if key])
    return rows.order_by("-made_at").first()


def _stored(
    site: Site, wanted: Wanted, document: Document, digest: str, encoded: bytes, earlier: ResultObject | None
) -> ResultObject:
    key = uuid.uuid5(uuid.NAMESPACE_OID, f"{document.sop_uid}|{digest}")
    name = f"results/{key.hex[:2]}/{key}.dcm"
    draft = settings.HILUM_DATA / "incoming" / f"{uuid.uuid4().hex}.dcm"
    draft.write_bytes(encoded)
    storage.put_file(draft, name)
    source = wanted.source
    row = ResultObject(
        site=site,
        study=wanted.scan.study if wanted.scan else wanted.reading.study if wanted.reading else None,
        scan=wanted.scan,
        analysis=wanted.analysis,
        reading=wanted.reading,
        author=wanted.author,
        kind=wanted.kind,
        digest=digest,
        patient_id=source.patient_id,
        issuer=source.issuer,
        study_instance_uid=source.reference.study_uid,
        series_instance_uid=document.series_uid,
        sop_class_uid=str(pydicom.dcmread(io.BytesIO(encoded), specific_tags=["SOPClassUID"]).SOPClassUID),
        sop_instance_uid=document.sop_uid,
        number=document.number,
        made_at=document.made_at,
        stored_name=name,
        sha256=hashlib.sha256(encoded).hexdigest(),
        size=len(encoded),
        supersedes=earlier,
    )
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError:
        # Another worker has made the same object meanwhile.
        return ResultObject.objects.get(sop_instance_uid=document.sop_uid, digest=digest)
    return row


def _at_site(at: datetime, site: Site) -> datetime:
    return at.astimezone(ZoneInfo(site.timezone))
