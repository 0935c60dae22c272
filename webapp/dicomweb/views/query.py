"""QIDO-RS: search for studies, series and instances (PS3.18 section 10.6)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby, islice
from typing import Any

from django.http import HttpResponse
from rest_framework.request import Request

from webapp.accounts.services import signed_in
from webapp.core.errors import CodedError
from webapp.dicomweb.dicom_json import MEDIA_TYPE, as_json
from webapp.dicomweb.instances import (
    INSTANCE_KEYWORDS,
    SERIES_KEYWORDS,
    Instance,
    instances_of,
    studies_served,
)
from webapp.dicomweb.matching import INSTANCE_KEYS, SERIES_KEYS, Query, matches, parse_query, study_condition
from webapp.dicomweb.views.base import DicomWebView, accepted, json_response, url_of
from webapp.scans.models import Study

STUDIES_AT_ONCE = 100
ALL = "all"


class Search(DicomWebView):
    """A search; `level` is what is listed, and keys of the path narrow it."""

    level = "study"

    def get(self, request: Request, study: str = "", series: str = "") -> HttpResponse:
        if not any(one.match(MEDIA_TYPE) or one.match("application/json") for one in accepted(request)):
            raise CodedError("not_acceptable", remedy=f"Request {MEDIA_TYPE}.")
        query = parse_query(request.query_params)
        query.matches |= {"StudyInstanceUID": study} if study else {}
        query.matches |= {"SeriesInstanceUID": series} if series else {}
        rows = list(islice(self.rows(query), query.offset, query.offset + query.limit + 1))
        warnings = (
            [f"these attributes cannot be matched: {', '.join(query.ignored)}"] if query.ignored else []
        )
        if len(rows) > query.limit:
            warnings.append(f"there are more results: request offset={query.offset + query.limit}")
        found = [as_json(row) for row in rows[: query.limit]]
        return json_response(found, warnings=warnings)

    def rows(self, query: Query) -> Iterator[dict[str, Any]]:
        """What matches, newest study first, read in portions."""
        matching = studies_served(signed_in(self.request.user)).filter(study_condition(query)).distinct()
        at = 0
        while page := list(matching[at : at + STUDIES_AT_ONCE]):
            at += len(page)
            held = instances_of(page)
            for study in page:
                yield from self._of_study(query, study, held[study.pk])

    def _of_study(self, query: Query, study: Study, held: list[Instance]) -> Iterator[dict[str, Any]]:
        if self.level == "study":
            yield study_row(self.request, query, study, held)
            return
        whole = study_row(self.request, query, study, held) if "study" not in self.kwargs else {}
        for _, members in groupby(sorted(held, key=lambda one: one.series_uid), lambda one: one.series_uid):
            instances = list(members)
            row = series_row(self.request, query, instances)
            if not matches(query, SERIES_KEYS, row | instances[0].attributes):
                continue
            if self.level == "series":
                yield whole | row
                continue
            above = {} if "series" in self.kwargs else row
            for instance in instances:
                own = instance_row(self.request, query, instance)
                if matches(query, INSTANCE_KEYS, own | instance.attributes):
                    yield whole | above | own


class StudySearch(Search):
    level = "study"


class SeriesSearch(Search):
    level = "series"


class InstanceSearch(Search):
    level = "instance"


def study_row(request: Request, query: Query, study: Study, held: list[Instance]) -> dict[str, Any]:
    """The attributes of a study (PS3.18 table 10.6.3-3)."""
    patient = study.patient
    row = {
        "StudyDate": f"{study.study_date:%Y%m%d}" if study.study_date else None,
        "StudyTime": f"{study.study_time:%H%M%S}" if study.study_time else None,
        "AccessionNumber": study.accession_number,
        "InstanceAvailability": "ONLINE",
        "ModalitiesInStudy": sorted({str(one.attributes.get("Modality") or "") for one in held} - {""}),
        "ReferringPhysicianName": None,
        "RetrieveURL": url_of(request, "study", study.study_instance_uid),
        "PatientName": patient.name,
        "PatientID": patient.patient_id,
        "PatientBirthDate": f"{patient.birth_date:%Y%m%d}" if patient.birth_date else None,
        "PatientSex": patient.sex,
        "StudyInstanceUID": study.study_instance_uid,
        "StudyID": None,
        "NumberOfStudyRelatedSeries": len({one.series_uid for one in held}),
        "NumberOfStudyRelatedInstances": len(held),
    }
    more = {"StudyDescription": study.description, "IssuerOfPatientID": patient.issuer}
    return row | _included(query, more)


def series_row(request: Request, query: Query, instances: list[Instance]) -> dict[str, Any]:
    """The attributes of a series (PS3.18 table 10.6.3-4)."""
    first = instances[0]
    row = {
        "Modality": first.attributes.get("Modality"),
        "SeriesDescription": first.attributes.get("SeriesDescription"),
        "RetrieveURL": url_of(request, "series", first.study.study_instance_uid, first.series_uid),
        "StudyInstanceUID": first.study.study_instance_uid,
        "SeriesInstanceUID": first.series_uid,
        "SeriesNumber": first.attributes.get("SeriesNumber"),
        "NumberOfSeriesRelatedInstances": len(instances),
    }
    return row | _included(query, {name: first.attributes.get(name) for name in SERIES_KEYWORDS})


def instance_row(request: Request, query: Query, instance: Instance) -> dict[str, Any]:
    """The attributes of an instance (PS3.18 table 10.6.3-5)."""
    keys = (instance.study.study_instance_uid, instance.series_uid, instance.sop_uid)
    row = {
        "SOPClassUID": instance.sop_class,
        "SOPInstanceUID": instance.sop_uid,
        "InstanceAvailability": "ONLINE",
        "RetrieveURL": url_of(request, "instance", *keys),
        "StudyInstanceUID": keys[0],
        "SeriesInstanceUID": keys[1],
        "InstanceNumber": instance.attributes.get("InstanceNumber"),
        "Rows": instance.attributes.get("Rows"),
        "Columns": instance.attributes.get("Columns"),
        "AvailableTransferSyntaxUID": instance.transfer_syntax,
    }
    return row | _included(query, {name: instance.attributes.get(name) for name in INSTANCE_KEYWORDS})


def _included(query: Query, more: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in more.items() if ALL in query.include or name in query.include}
