"""Uploads: list them, upload many files at once, follow their processing."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.core.files.uploadedfile import UploadedFile
from drf_spectacular.utils import OpenApiResponse
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from classifier.data.tables.manifest import Reading
from webapp.accounts.services import can, for_sites, signed_in
from webapp.analysis.state import states_of_uploads
from webapp.api.access import with_remedy
from webapp.api.filters import UploadFilter
from webapp.api.resource import ListResource, Resource, SinglePage
from webapp.api.schema import operation
from webapp.api.serializers.uploads import (
    BulkUploadOutcomeSerializer,
    BulkUploadSerializer,
    ManifestRowsSerializer,
    UploadIdsSerializer,
    UploadManifestSerializer,
    UploadProgressSerializer,
    UploadSerializer,
)
from webapp.api.views.scans import uploaded
from webapp.core.errors import CodedError
from webapp.core.http.problem_details import problem
from webapp.core.spreadsheets import check_size
from webapp.scans.models import Upload
from webapp.scans.selectors import upload_or_404
from webapp.scans.services import upload_retry, upload_store
from webapp.scans.uploads.capacity import demand_capacity
from webapp.scans.uploads.manifest import checked, manifest_read, naming
from webapp.scans.uploads.stated_metadata import StatedMetadata


class UploadCollection(ListResource):
    """List the site's uploads, newest first, including the images of archives."""

    name = "uploads_list"
    needs = {"GET": "scan.upload", "POST": "scan.upload"}
    parser_classes = [MultiPartParser]
    queryset = Upload.objects.select_related("site")
    serializer_class = UploadSerializer
    filterset_class = UploadFilter

    def represent(self, rows: list[Upload]) -> Any:
        return represent(self.request, rows)

    @operation(
        "upload_bulk",
        body=BulkUploadSerializer,
        returns={200: OpenApiResponse(BulkUploadOutcomeSerializer, description="The outcome for each file")},
    )
    def post(self, request: Request) -> Response:
        """Upload up to 100 files at once; each is accepted or refused on its own."""
        demand_capacity(user=signed_in(request.user), site=self.site)
        fields = self.read(several="files")
        files = fields.pop("files")
        stated, read = StatedMetadata.parse(**fields), can(request.user, "scan.view", self.site)
        return Response({"results": [self._store(file, stated, read) for file in files]})

    def _store(self, file: UploadedFile, stated: StatedMetadata, read: bool) -> dict[str, Any]:
        outcome: dict[str, Any] = {"file": file.name, "scan": None, "problem": None}
        try:
            upload, created = upload_store(
                user=self.request.user,
                site=self.site,
                chunks=file.chunks(),
                filename=file.name,
                stated=stated,
            )
        except CodedError as error:
            return outcome | {"status": error.status, "problem": problem(with_remedy(error))}
        return outcome | {"status": 201 if created else 200, "scan": uploaded(upload, read=read)}


class UploadDetail(Resource):
    needs = {"GET": "scan.upload"}

    @operation("upload_retrieve", returns=UploadSerializer)
    def get(self, request: Request, upload_id: UUID) -> Response:
        """Get an upload: its state, size and hash.

        The scan that it becomes is at `/scans/{id}/` under the same ID.
        """
        return Response(represent(request, [upload_or_404(request.user, upload_id, "scan.upload")])[0])


class UploadRetry(Resource):
    needs = {"POST": "scan.upload"}

    @operation("upload_retry", returns=UploadSerializer)
    def post(self, request: Request, upload_id: UUID) -> Response:
        """Process a failed upload again; 409 `conflict` for one that has not failed."""
        upload = upload_or_404(request.user, upload_id, "scan.upload")
        return Response(represent(request, [upload_retry(upload=upload, actor=request.user)])[0])


class UploadManifest(Resource):
    needs = {"POST": "scan.upload"}
    parser_classes = [MultiPartParser]

    @operation("upload_manifest", body=UploadManifestSerializer, returns=ManifestRowsSerializer)
    def post(self, request: Request) -> Response:
        """Read a manifest: what each line states of its image, and every problem.

        Nothing is stored: upload each image with the values of its row.
        """
        fields = self.read()
        check_size(fields["file"].size)
        manifest = manifest_read(
            site=self.site,
            data=fields["file"].read(),
            name=fields["file"].name,
            reading=Reading(fields["date_order"], fields["encoding"]),
            fits=naming(fields["names"].splitlines()),
        )
        return Response(ManifestRowsSerializer(checked(manifest)).data)


class UploadStates(SinglePage):
    needs = {"POST": "scan.upload"}
    serializer_class = UploadProgressSerializer

    @operation("upload_states", body=UploadIdsSerializer, returns=UploadProgressSerializer(many=True))
    def post(self, request: Request) -> Response:
        """Get the status of up to 500 uploads; unknown ones are left out."""
        uploads = for_sites(Upload.objects.filter(pk__in=self.read()["ids"]), request.user, "scan.upload")
        states = [
            {"id": key, "status": state.status, "reason": state.reason, "finished": state.finished}
            for key, state in states_of_uploads(uploads).items()
        ]
        return self.listed(states)


def represent(request: Request, uploads: list[Upload]) -> Any:
    """Uploads; a file name is shown to its uploader and to whoever may read scans."""

    def named_for(upload: Upload) -> bool:
        return upload.user_id == request.user.pk or can(request.user, "scan.view", upload.site)

    return UploadSerializer(uploads, many=True, context={"named_for": named_for}).data
