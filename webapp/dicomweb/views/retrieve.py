"""WADO-RS: instances, metadata, frames, rendered images and bulk data (PS3.18 section 10.4)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from django.http import FileResponse, HttpResponse, HttpResponseBase
from django.http.request import MediaType
from rest_framework.request import Request

from classifier.images.sandbox.response import Want
from webapp.accounts.services import signed_in
from webapp.core import storage
from webapp.core.errors import CodedError
from webapp.dicom.multipart import CHUNK, multipart_response
from webapp.dicomweb.dicom_json import MEDIA_TYPE
from webapp.dicomweb.instances import Instance, instances_of, studies_served
from webapp.dicomweb.parsing import inspect_or_404, with_bulk_urls
from webapp.dicomweb.rendering import MEDIA_TYPES, rendered
from webapp.dicomweb.views.base import DicomWebView, accepted, json_response, url_of

DICOM, OCTETS = "application/dicom", "application/octet-stream"
MULTIPART = "multipart/related"
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
# PS3.18 table 8.7.3-2: the media type of a frame that stays compressed.
FRAME_TYPES = {
    "1.2.840.10008.1.2.4.50": "image/jpeg",
    "1.2.840.10008.1.2.4.51": "image/jpeg",
    "1.2.840.10008.1.2.4.57": "image/jpeg",
    "1.2.840.10008.1.2.4.70": "image/jpeg",
    "1.2.840.10008.1.2.4.80": "image/jls",
    "1.2.840.10008.1.2.4.81": "image/jls",
    "1.2.840.10008.1.2.4.90": "image/jp2",
    "1.2.840.10008.1.2.4.91": "image/jp2",
    "1.2.840.10008.1.2.4.201": "image/jphc",
    "1.2.840.10008.1.2.4.202": "image/jphc",
    "1.2.840.10008.1.2.4.203": "image/jphc",
    "1.2.840.10008.1.2.5": "image/dicom-rle",
}


class Retrieval(DicomWebView):
    def found(self, study: str, series: str = "", instance: str = "") -> list[Instance]:
        """The instances below the path; raises CodedError `not_found` where the caller has none."""
        studies = list(studies_served(signed_in(self.request.user)).filter(study_instance_uid=study))
        held = [one for several in instances_of(studies).values() for one in several]
        chosen = [one for one in held if series in ("", one.series_uid) and instance in ("", one.sop_uid)]
        if not chosen:
            raise CodedError("not_found")
        return chosen

    def base(self, instance: Instance) -> str:
        study = instance.study.study_instance_uid
        return url_of(self.request, "instance", study, instance.series_uid, instance.sop_uid)


class Instances(Retrieval):
    """The files of a study, a series or one instance, as they are stored."""

    def get(self, request: Request, **uids: str) -> HttpResponseBase:
        chosen = self.found(**uids)
        for one in accepted(request):
            wanted = one.params.get("transfer-syntax", "*")
            as_stored = all(wanted in ("*", instance.transfer_syntax) for instance in chosen)
            single = len(chosen) == 1 and (one.main_type, one.sub_type) == ("application", "dicom")
            if as_stored and single:
                return FileResponse(_open(chosen[0]), content_type=DICOM)
            if as_stored and _is_multipart(one, DICOM):
                return multipart_response(DICOM, ((DICOM, self.base(i), _bytes_of(i)) for i in chosen))
        raise CodedError("not_acceptable", remedy=f'Request {MULTIPART}; type="{DICOM}"; transfer-syntax=*.')


class Metadata(Retrieval):
    """The attributes of a study's, a series' or one instance, without bulk data."""

    def get(self, request: Request, **uids: str) -> HttpResponse:
        if not any(one.match(MEDIA_TYPE) or one.match("application/json") for one in accepted(request)):
            raise CodedError("not_acceptable", remedy=f"Request {MEDIA_TYPE}.")
        return json_response([self._metadata(instance) for instance in self.found(**uids)])

    def _metadata(self, instance: Instance) -> dict[str, Any]:
        read = inspect_or_404(storage.path_of(instance.stored_name), Want.METADATA)
        return with_bulk_urls(read.content, f"{self.base(instance)}/bulkdata")


class Frames(Retrieval):
    """Frames of an instance: as stored, or decoded to little endian (PS3.18 table 8.7.3-2)."""

    def get(self, request: Request, frames: str, **uids: str) -> HttpResponseBase:
        [instance, *_] = self.found(**uids)
        numbers = frame_numbers(frames)
        kind = FRAME_TYPES.get(instance.transfer_syntax, OCTETS)
        decoded = _is_decoded(accepted(request), kind, instance.transfer_syntax)
        parts = [self._part(instance, number, decoded) for number in numbers]
        return multipart_response(OCTETS if decoded else kind, parts)

    def _part(self, instance: Instance, number: int, decoded: bool) -> tuple[str, str, Iterable[bytes]]:
        path = storage.path_of(instance.stored_name)
        read = inspect_or_404(path, Want.FRAME, number=number, decoded=decoded)
        syntax = read.facts["transfer_syntax"]
        kind = FRAME_TYPES.get(syntax, OCTETS)
        return f"{kind}; transfer-syntax={syntax}", f"{self.base(instance)}/frames/{number}", [read.content]


class BulkData(Retrieval):
    """The value of one element; `place`: its tag, or tags and item numbers in turn that lead to it."""

    def get(self, request: Request, place: str, **uids: str) -> HttpResponseBase:
        [instance, *_] = self.found(**uids)
        steps = place.split("/")
        if len(steps) % 2 == 0 or len(steps) > 15 or not all(step.isalnum() for step in steps):
            raise CodedError("not_found")
        read = inspect_or_404(storage.path_of(instance.stored_name), Want.BULK, place=steps)
        for one in accepted(request):
            if _is_multipart(one, OCTETS):
                return multipart_response(OCTETS, [(OCTETS, request.build_absolute_uri(), [read.content])])
            if one.match(OCTETS):
                return HttpResponse(read.content, content_type=OCTETS)
        raise CodedError("not_acceptable", remedy=f"Request {OCTETS}.")


class Rendered(Retrieval):
    """An image in its default window, or in one that is asked for, as JPEG or PNG."""

    side = 0

    def get(self, request: Request, frame: int = 1, **uids: str) -> HttpResponse:
        scan = next((one.scan for one in self.found(**uids) if one.scan), None)
        if scan is None or frame != 1:
            raise CodedError("not_found")
        for one in accepted(request):
            for kind in MEDIA_TYPES:
                if one.match(kind):
                    image = rendered(scan, kind, request.query_params, side=self.side)
                    return HttpResponse(image, content_type=kind)
        raise CodedError("not_acceptable", remedy=f"Request {' or '.join(MEDIA_TYPES)}.")


class Thumbnail(Rendered):
    side = 176


def frame_numbers(text: str) -> list[int]:
    numbers = [int(one) for one in text.split(",") if one.isascii() and one.isdecimal() and len(one) < 6]
    if not numbers or len(numbers) != len(text.split(",")) or min(numbers) < 1:
        raise CodedError("not_found")
    return numbers


def _is_multipart(one: MediaType, kind: str) -> bool:
    """Whether a multipart body of this type is accepted."""
    if one.main_type == "*":
        return True
    if (one.main_type, one.sub_type) != ("multipart", "related"):
        return False
    return str(one.params.get("type", kind)).strip('"').lower() in (kind, "*/*")


def _is_decoded(wanted: Iterable[MediaType], kind: str, syntax: str) -> bool:
    """Whether frames leave decoded; raises CodedError `not_acceptable` where neither form is accepted."""
    for one in wanted:
        asked = one.params.get("transfer-syntax", "")
        if _is_multipart(one, kind) and asked in ("", "*", syntax):
            return False
        if _is_multipart(one, OCTETS) and asked in ("", "*", EXPLICIT_LITTLE):
            return True
    raise CodedError("not_acceptable", remedy=f'Request {MULTIPART}; type="{OCTETS}" or type="{kind}".')


def _open(instance: Instance) -> Any:
    return storage.opened(instance.stored_name, "The file")


def _bytes_of(instance: Instance) -> Iterator[bytes]:
    with _open(instance) as file:
        while chunk := file.read(CHUNK):
            yield chunk
