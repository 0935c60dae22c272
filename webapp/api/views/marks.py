"""Measurements, marks and key images of a scan."""

from __future__ import annotations

from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from webapp.accounts.services import signed_in
from webapp.api.resource import Resource, SinglePage
from webapp.api.schema import operation
from webapp.api.serializers.marks import (
    KeyImageCreateSerializer,
    KeyImageSerializer,
    MarkChangeSerializer,
    MarkCreateSerializer,
    MarkSerializer,
)
from webapp.labels.marks.key_images import (
    key_image_add,
    key_image_or_404,
    key_image_remove,
    key_images_of,
)
from webapp.labels.marks.selectors import mark_or_404, mark_versions
from webapp.labels.marks.services import mark_add, mark_change, mark_delete
from webapp.scans.selectors import scan_or_404


class ScanMarks(SinglePage):
    needs = {"GET": "scan.view", "POST": "scan.label"}
    serializer_class = MarkSerializer

    @operation("scan_marks", returns=MarkSerializer(many=True))
    def get(self, request: Request, scan_id: UUID) -> Response:
        """List every version of the measurements and marks of a scan, oldest first, including deletions."""
        return self.listed(mark_versions(scan_or_404(signed_in(request.user), scan_id)))

    @operation("scan_mark_add", body=MarkCreateSerializer, returns={201: MarkSerializer})
    def post(self, request: Request, scan_id: UUID) -> Response:
        """Save a measurement or mark; the server computes its values."""
        scan = scan_or_404(signed_in(request.user), scan_id)
        mark = mark_add(scan=scan, actor=signed_in(request.user), **self.read())
        return Response(MarkSerializer(mark).data, status=201)


class MarkDetail(Resource):
    needs = {"GET": "scan.view", "PATCH": "scan.label", "DELETE": "scan.label"}

    @operation("mark_retrieve", returns=MarkSerializer)
    def get(self, request: Request, mark_id: UUID) -> Response:
        """Get one version of a measurement or mark."""
        return Response(MarkSerializer(mark_or_404(signed_in(request.user), mark_id)).data)

    @operation("mark_change", body=MarkChangeSerializer, returns={201: MarkSerializer})
    def patch(self, request: Request, mark_id: UUID) -> Response:
        """Save a new version of a measurement or mark with other points or text.

        409 `conflict` unless this version is the current one.
        """
        mark = mark_change(
            mark=mark_or_404(signed_in(request.user), mark_id), actor=signed_in(request.user), **self.read()
        )
        return Response(MarkSerializer(mark).data, status=201)

    @operation("mark_delete", returns={201: MarkSerializer})
    def delete(self, request: Request, mark_id: UUID) -> Response:
        """Delete a measurement or mark by a new version; earlier versions are kept.

        409 `conflict` unless this version is the current one.
        """
        mark = mark_delete(mark=mark_or_404(signed_in(request.user), mark_id), actor=signed_in(request.user))
        return Response(MarkSerializer(mark).data, status=201)


class ScanKeyImages(SinglePage):
    needs = {"GET": "scan.view", "POST": "scan.label"}
    serializer_class = KeyImageSerializer

    @operation("scan_key_images", returns=KeyImageSerializer(many=True))
    def get(self, request: Request, scan_id: UUID) -> Response:
        """List the key images of a scan, oldest first, without those that were removed."""
        return self.listed(key_images_of(scan_or_404(signed_in(request.user), scan_id)))

    @operation("scan_key_image_add", body=KeyImageCreateSerializer, returns={201: KeyImageSerializer})
    def post(self, request: Request, scan_id: UUID) -> Response:
        """Mark a view of a scan as a key image.

        409 `conflict` where the scan has as many as it may have.
        """
        scan = scan_or_404(signed_in(request.user), scan_id)
        added = key_image_add(scan=scan, actor=signed_in(request.user), **self.read())
        return Response(KeyImageSerializer(added).data, status=201)


class KeyImageDetail(Resource):
    needs = {"GET": "scan.view", "DELETE": "scan.label"}

    @operation("key_image_retrieve", returns=KeyImageSerializer)
    def get(self, request: Request, key_image_id: UUID) -> Response:
        """Get a key image."""
        return Response(KeyImageSerializer(key_image_or_404(signed_in(request.user), key_image_id)).data)

    @operation("key_image_remove", returns={204: None})
    def delete(self, request: Request, key_image_id: UUID) -> Response:
        """Remove a key image; it is kept, with who removed it, and no longer shown."""
        user = signed_in(request.user)
        key_image_remove(key_image=key_image_or_404(user, key_image_id), actor=user)
        return Response(status=204)
