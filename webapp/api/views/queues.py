"""Label queues over HTTP: make one, be handed a case, label it blind, see how readers agree, decide."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from webapp.api.filters import QueueFilter
from webapp.api.resource import Listing, Resource
from webapp.api.serializers import labels as shapes
from webapp.api.views.media import PNG, PngRenderer, as_png, png_file
from webapp.core.errors import CodedError
from webapp.labels.annotation import adjudicate, case_label, finished_analysis, own_label, queue_close
from webapp.labels.models import ItemStatus, Label, LabelQueue, QueueItem
from webapp.labels.queue_progress import (
    agreement_of,
    decision_of,
    disputed_items,
    item_or_404,
    labels_of,
    queue_or_404,
    queues_visible,
    readers_of,
)
from webapp.labels.queues import case_next, queue_create, remaining_for

DECIDE = "label.adjudicate"


class QueueCollection(Listing):
    needs = {"GET": "scan.label", "POST": "label.manage"}
    queryset = LabelQueue.objects.none()
    filterset_class = QueueFilter

    def rows(self) -> Any:
        return queues_visible(self.request.user)

    def answer(self, rows: list[LabelQueue]) -> list[dict[str, Any]]:
        return [shapes.queue_answer(queue) for queue in rows]

    @extend_schema(operation_id="label_queues_list", responses=shapes.QueueSerializer(many=True))
    def get(self, request: Request) -> Response:
        """Label queues, newest first, with how their images stand."""
        return self.listed(request)

    @extend_schema(
        operation_id="label_queue_create",
        request=shapes.QueueCreateSerializer,
        responses={201: shapes.QueueSerializer},
    )
    def post(self, request: Request) -> Response:
        """Make a queue; what is in it is fixed then. `drift` is offered where drift is measured."""
        fields = self.read(request, shapes.QueueCreateSerializer)
        queue = queue_create(site=self.site, actor=request.user, **fields)
        return Response(shapes.queue_answer(queues_visible(request.user).get(pk=queue.pk)), status=201)


class QueueDetail(Resource):
    needs = {"GET": "scan.label"}

    @extend_schema(operation_id="label_queue_retrieve", responses=shapes.QueueProgressSerializer)
    def get(self, request: Request, queue_id: UUID) -> Response:
        """A queue with the progress of each reader, and how much it has for the caller."""
        queue = queue_or_404(request.user, queue_id)
        told = {
            "left": remaining_for(queues=[queue], reader=request.user).get(queue.pk, 0),
            "progress": [shapes.reader_answer(one) for one in readers_of(queue)],
        }
        return Response(shapes.queue_answer(queue) | told)


class QueueClose(Resource):
    needs = {"POST": "label.manage"}

    @extend_schema(operation_id="label_queue_close", request=None, responses=shapes.QueueSerializer)
    def post(self, request: Request, queue_id: UUID) -> Response:
        """Ask nobody any more; what few readers said counts from now on. 409 `conflict` if closed."""
        queue = queue_close(queue=queue_or_404(request.user, queue_id), actor=request.user)
        return Response(shapes.queue_answer(queue_or_404(request.user, queue.pk)))


class QueueNext(Resource):
    needs = {"POST": "scan.label"}

    @extend_schema(
        operation_id="label_queue_next", request=None, responses={200: shapes.CaseSerializer, 204: None}
    )
    def post(self, request: Request, queue_id: UUID) -> Response:
        """The caller's next case, held for them for a while; 204 when there is nothing (more) for them."""
        item = case_next(queue=queue_or_404(request.user, queue_id), reader=request.user)
        if item is None:
            return Response(status=204)
        return Response(case_answer(request, item_or_404(request.user, item.pk)))


class QueueAgreement(Resource):
    needs = {"GET": DECIDE}

    @extend_schema(operation_id="label_queue_agreement", responses=shapes.AgreementSerializer(many=True))
    def get(self, request: Request, queue_id: UUID) -> Response:
        """How far the readers agree beyond chance on each finding, from their blind labels."""
        told = agreement_of(queue_or_404(request.user, queue_id))
        return Response([shapes.agreement_answer(one) for one in told])


class QueueDisputed(Listing):
    needs = {"GET": DECIDE}
    queryset = QueueItem.objects.none()

    def rows(self) -> Any:
        queue = queue_or_404(self.request.user, self.kwargs["queue_id"])
        return disputed_items(queue).select_related("queue")

    def answer(self, rows: list[QueueItem]) -> list[dict[str, Any]]:
        return [shapes.item_answer(item) for item in rows]

    @extend_schema(operation_id="label_queue_disputed", responses=shapes.ItemSerializer(many=True))
    def get(self, request: Request, queue_id: UUID) -> Response:
        """The cases on which the readers disagree, until somebody decides."""
        return self.listed(request)


class CaseDetail(Resource):
    needs = {"GET": "scan.label"}

    @extend_schema(operation_id="label_case_retrieve", responses=shapes.CaseSerializer)
    def get(self, request: Request, item_id: UUID) -> Response:
        """A case; which scan it is, and what a model says of it, only once the caller has labelled it."""
        return Response(case_answer(request, item_or_404(request.user, item_id)))


class CaseLabel(Resource):
    needs = {"POST": "scan.label"}

    @extend_schema(
        operation_id="label_case_label", request=shapes.SaySerializer, responses={201: shapes.CaseSerializer}
    )
    def post(self, request: Request, item_id: UUID) -> Response:
        """Commit the caller's label: first blind, then, `after` naming it, a change of mind.

        The same sent again answers the same; 409 `conflict` where `after` is not the one in force.
        """
        item = item_or_404(request.user, item_id)
        fields = self.read(request, shapes.SaySerializer)
        case_label(item=item, reader=request.user, said=shapes.said_of(fields), after=fields["after"])
        return Response(case_answer(request, item_or_404(request.user, item_id)), status=201)


class CaseDecision(Resource):
    needs = {"GET": DECIDE, "POST": DECIDE}

    @extend_schema(operation_id="label_case_decision", responses=shapes.DecisionSerializer)
    def get(self, request: Request, item_id: UUID) -> Response:
        """What the readers said of a case, side by side; 409 `not_ready` while they are still asked."""
        return Response(self._told(item_or_404(request.user, item_id)))

    @extend_schema(
        operation_id="label_case_decide",
        request=shapes.DecideSerializer,
        responses={201: shapes.DecisionSerializer},
    )
    def post(self, request: Request, item_id: UUID) -> Response:
        """Decide over the readers, with a reason; `after` names the decision that this one supersedes."""
        item = item_or_404(request.user, item_id)
        fields = self.read(request, shapes.DecideSerializer)
        adjudicate(
            item=item,
            actor=request.user,
            said=shapes.said_of(fields),
            reason=fields["reason"],
            after=fields["after"],
        )
        return Response(self._told(item_or_404(request.user, item_id)), status=201)

    def _told(self, item: QueueItem) -> dict[str, Any]:
        if item.status == ItemStatus.WAITING:
            raise CodedError("not_ready", "Its readers have not all read it yet.", "Decide when they have.")
        decision = decision_of(item)
        return shapes.item_answer(item) | {
            "scan": item.scan_id,
            "labels": [shapes.label_answer(label) for label in labels_of(item)],
            "decision": shapes.label_answer(decision) if decision else None,
        }


class CaseImage(Resource):
    needs = {"GET": "scan.label"}
    renderer_classes = [PngRenderer, JSONRenderer]
    kind = ""

    def image(self, request: Request, item_id: UUID) -> HttpResponse:
        scan = item_or_404(request.user, item_id).scan
        name, sha256 = getattr(scan, f"{self.kind}_name"), getattr(scan, f"{self.kind}_sha256")
        return as_png(request, f'"{sha256}"', lambda: png_file(name))


class CasePreview(CaseImage):
    kind = "preview"

    @extend_schema(operation_id="label_case_preview", responses=PNG)
    def get(self, request: Request, item_id: UUID) -> HttpResponse:
        """The case's image, 8-bit grey, at most 1,024 pixels a side."""
        return self.image(request, item_id)


class CaseDisplay(CaseImage):
    kind = "display"

    @extend_schema(operation_id="label_case_display", responses=PNG)
    def get(self, request: Request, item_id: UUID) -> HttpResponse:
        """The case's image, 16-bit grey, in full resolution."""
        return self.image(request, item_id)


def case_answer(request: Request, item: QueueItem) -> dict[str, Any]:
    """Nothing of the scan but its image's size, until the caller has committed a label."""
    own = own_label(item, request.user)
    hidden = {"label": None, "scan": None, "answer": None}
    return shapes.item_answer(item) | (_revealed(own) if own else hidden)


def _revealed(own: Label) -> dict[str, Any]:
    analysis = finished_analysis(own.scan)
    answer = analysis and {
        "analysis": analysis.pk,
        "model": str(analysis.model_version),
        "finding": analysis.finding or None,
        "abstention": analysis.abstention or None,
        "probabilities": None if analysis.withheld else analysis.probabilities,
    }
    return {"label": shapes.label_answer(own), "scan": own.scan_id, "answer": answer}
