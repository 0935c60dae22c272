"""Uploads over HTTP: what was handed in, many files at once, how many of them stand."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.core.files.uploadedfile import UploadedFile
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.parsers import JSONParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from webapp.accounts.services import can, for_sites
from webapp.analysis.state import states_of_uploads
from webapp.api.filters import UploadFilter
from webapp.api.intake import bounded, said_once
from webapp.api.resource import Listing, Resource
from webapp.api.serializers.uploads import (
    BulkAnswerSerializer,
    BulkSerializer,
    IdsSerializer,
    StatesSerializer,
    UploadSerializer,
    state_answer,
    upload_answer,
)
from webapp.api.views.scans import told
from webapp.core.errors import CodedError
from webapp.core.http.problem_details import problem
from webapp.scans.models import Upload
from webapp.scans.selectors import upload_or_404
from webapp.scans.services import upload_retry, upload_store
from webapp.scans.uploads.stated_metadata import Claim

CLAIMS = ("patient_id", "study", "date", "modality")


class UploadCollection(Listing):
    needs = {"GET": "scan.upload", "POST": "scan.upload"}
    parser_classes = [MultiPartParser]
    queryset = Upload.objects.none()
    filterset_class = UploadFilter

    def rows(self) -> Any:
        return for_sites(Upload.objects.all(), self.request.user, "scan.upload")

    def answer(self, rows: list[Upload]) -> list[dict[str, Any]]:
        reads = can(self.request.user, "scan.view", self.site)
        return [upload_answer(one, named=reads or one.user_id == self.request.user.pk) for one in rows]

    @extend_schema(operation_id="uploads_list", responses=UploadSerializer(many=True))
    def get(self, request: Request) -> Response:
        """What was handed in at the site, newest first; the images of archives among it."""
        return self.listed(request)

    @extend_schema(
        operation_id="upload_bulk",
        request={"multipart/form-data": BulkSerializer},
        responses={200: OpenApiResponse(BulkAnswerSerializer, description="What became of each file")},
    )
    def post(self, request: Request) -> Response:
        """Hand in up to 100 files at once; each is taken or refused by itself, in the order they came."""
        with bounded(request, several=True):
            said = {name: request.data[name] for name in CLAIMS if name in request.data}
            files = request.FILES.getlist("files")
        said_once(request, CLAIMS)
        form = BulkSerializer(data=said | {"files": files})
        form.is_valid(raise_exception=True)
        claims = {k: v for k, v in form.validated_data.items() if k != "files"}
        claim, reads = Claim.parse(**claims), can(request.user, "scan.view", self.site)
        return Response({"results": [self._take(file, claim, reads) for file in files]})

    def _take(self, file: UploadedFile, claim: Claim, reads: bool) -> dict[str, Any]:
        said: dict[str, Any] = {"file": file.name, "scan": None, "problem": None}
        try:
            upload, created = upload_store(
                user=self.request.user,
                site=self.site,
                chunks=file.chunks(),
                filename=file.name,
                claim=claim,
            )
        except CodedError as error:
            return said | {"status": error.status, "problem": problem(error)}
        return said | {"status": 201 if created else 200, "scan": told(upload, reads=reads)}


class UploadDetail(Resource):
    needs = {"GET": "scan.upload"}

    @extend_schema(operation_id="upload_retrieve", responses=UploadSerializer)
    def get(self, request: Request, upload_id: UUID) -> Response:
        """One upload: its state, size and hash. What it became is at `/scans/{id}/` under the same id."""
        return Response(answer_of(request, upload_or_404(request.user, upload_id, "scan.upload")))


class UploadRetry(Resource):
    needs = {"POST": "scan.upload"}

    @extend_schema(operation_id="upload_retry", request=None, responses=UploadSerializer)
    def post(self, request: Request, upload_id: UUID) -> Response:
        """Read a failed upload again; 409 `conflict` for one that has not failed."""
        upload = upload_or_404(request.user, upload_id, "scan.upload")
        return Response(answer_of(request, upload_retry(upload=upload, actor=request.user)))


class UploadStates(Resource):
    needs = {"POST": "scan.upload"}
    parser_classes = [JSONParser]

    @extend_schema(operation_id="upload_states", request=IdsSerializer, responses=StatesSerializer)
    def post(self, request: Request) -> Response:
        """How up to 500 uploads stand: one question for a whole folder, in a fixed number of queries."""
        ids = self.read(request, IdsSerializer)["ids"]
        uploads = for_sites(Upload.objects.filter(pk__in=ids), request.user, "scan.upload")
        states = states_of_uploads(uploads)
        return Response({"results": [state_answer(key, state) for key, state in states.items()]})


def answer_of(request: Request, upload: Upload) -> dict[str, Any]:
    named = upload.user_id == request.user.pk or can(request.user, "scan.view", upload.site)
    return upload_answer(upload, named=named)
