"""Label queues: create one, get a case, label it blind, measure agreement, decide."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from webapp.accounts.services import signed_in
from webapp.api.filters import QueueFilter
from webapp.api.resource import DetailResource, ListResource, Resource, SinglePage
from webapp.api.schema import operation
from webapp.api.serializers.labels import DecisionCreateSerializer, LabelStatementSerializer, statement_of
from webapp.api.serializers.queues import (
    AgreementSerializer,
    CaseRowSerializer,
    CaseSerializer,
    CaseSkipSerializer,
    DecisionSerializer,
    QueueCreateSerializer,
    QueueProgressSerializer,
    QueueSerializer,
)
from webapp.core.errors import CodedError
from webapp.labels.adjudication import adjudicate, disputed_for
from webapp.labels.annotation import case_label, finished_analysis, own_label, queue_close
from webapp.labels.models import ItemStatus, LabelQueue, QueueItem
from webapp.labels.queue_progress import (
    agreement_of,
    decision_of,
    item_or_404,
    labels_of,
    queue_or_404,
    queues_with_readers,
    readers_of,
)
from webapp.labels.queues import case_next, case_skip, people_named, queue_create, remaining_for

ADJUDICATE = "label.adjudicate"


class QueueCollection(ListResource):
    """List label queues, newest first, with the number of images by status."""

    name = "label_queues_list"
    needs = {"GET": "scan.label", "POST": "label.manage"}
    queryset = LabelQueue.objects.none()
    filterset_class = QueueFilter
    serializer_class = QueueSerializer
    find = queues_with_readers

    @operation("label_queue_create", body=QueueCreateSerializer, returns={201: QueueSerializer})
    def post(self, request: Request) -> Response:
        """Create a label queue; its images are selected now and do not change.

        The order `drift` is available where drift is measured.
        """
        fields = self.read()
        fields["named"] = people_named(self.site, fields["named"])
        queue = queue_create(site=self.site, actor=request.user, **fields)
        return Response(QueueSerializer(queue_or_404(request.user, queue.pk)).data, status=201)


class QueueDetail(DetailResource):
    """Get a label queue with the progress of each reader."""

    needs = {"GET": "scan.label"}
    name, find, serializer_class = "label_queue_retrieve", queue_or_404, QueueProgressSerializer

    def represent(self, record: LabelQueue) -> Any:
        record.left = remaining_for(queues=[record], reader=self.request.user).get(record.pk, 0)
        record.progress = readers_of(record)
        return super().represent(record)


class QueueClose(Resource):
    needs = {"POST": "label.manage"}

    @operation("label_queue_close", returns=QueueSerializer)
    def post(self, request: Request, queue_id: UUID) -> Response:
        """Close a label queue; 409 `conflict` if it is closed.

        Images with fewer readers than planned then count with the labels they have.
        """
        queue = queue_close(queue=queue_or_404(request.user, queue_id), actor=request.user)
        return Response(QueueSerializer(queue_or_404(request.user, queue.pk)).data)


class QueueNext(Resource):
    needs = {"POST": "scan.label"}

    @operation("label_queue_next", returns={200: CaseSerializer, 204: None})
    def post(self, request: Request, queue_id: UUID) -> Response:
        """Get the caller's next case, reserved for a while; 204 when none is left."""
        item = case_next(queue=queue_or_404(request.user, queue_id), reader=request.user)
        if item is None:
            return Response(status=204)
        return Response(represent(request, item_or_404(request.user, item.pk)))


class QueueAgreement(SinglePage):
    needs = {"GET": ADJUDICATE}
    serializer_class = AgreementSerializer

    @operation("label_queue_agreement", returns=AgreementSerializer(many=True))
    def get(self, request: Request, queue_id: UUID) -> Response:
        """Get the agreement of the readers on each finding, from their blind labels."""
        return self.listed(agreement_of(queue_or_404(request.user, queue_id)))


class QueueDisputed(ListResource):
    """List the undecided cases on which the readers disagree, without those that the caller has labelled."""

    name = "label_queue_disputed"
    needs = {"GET": ADJUDICATE}
    queryset = QueueItem.objects.none()
    serializer_class = CaseRowSerializer

    def rows(self) -> Any:
        queue = queue_or_404(self.request.user, self.kwargs["queue_id"])
        return disputed_for(queue, signed_in(self.request.user))


class CaseDetail(Resource):
    needs = {"GET": "scan.label"}

    @operation("label_case_retrieve", returns=CaseSerializer)
    def get(self, request: Request, item_id: UUID) -> Response:
        """Get a label case; its scan and result only after the caller has labelled it."""
        return Response(represent(request, item_or_404(request.user, item_id)))


class CaseLabel(Resource):
    needs = {"POST": "scan.label"}

    @operation("label_case_label", body=LabelStatementSerializer, returns={201: CaseSerializer})
    def post(self, request: Request, item_id: UUID) -> Response:
        """Label a case: first blind, then, with `after`, as a change.

        A repeated request returns the same; 409 `conflict` if `after` is not the caller's current label.
        """
        item = item_or_404(request.user, item_id)
        fields = self.read()
        case_label(item=item, reader=request.user, content=statement_of(fields), after=fields["after"])
        return Response(represent(request, item_or_404(request.user, item_id)), status=201)


class CaseSkip(Resource):
    needs = {"POST": "scan.label"}

    @operation("label_case_skip", body=CaseSkipSerializer, returns={204: None})
    def post(self, request: Request, item_id: UUID) -> Response:
        """Pass a case over: it is not offered to the caller again.

        409 `conflict` if the caller has labelled it.
        """
        case_skip(
            item=item_or_404(signed_in(request.user), item_id), reader=signed_in(request.user), **self.read()
        )
        return Response(status=204)


class CaseDecision(Resource):
    needs = {"GET": ADJUDICATE, "POST": ADJUDICATE}

    @operation("label_case_decision", returns=DecisionSerializer)
    def get(self, request: Request, item_id: UUID) -> Response:
        """Compare the readers' labels of a case; 409 `not_ready` while some are missing."""
        return Response(self._represent(item_or_404(request.user, item_id)))

    @operation("label_case_decide", body=DecisionCreateSerializer, returns={201: DecisionSerializer})
    def post(self, request: Request, item_id: UUID) -> Response:
        """Decide a case (adjudication), with a reason; `after` names the decision to supersede.

        Only the findings on which the readers differ need to be stated. 403 `adjudicator_is_reader` if the
        caller has labelled the case.
        """
        item = item_or_404(request.user, item_id)
        fields = self.read()
        adjudicate(
            item=item,
            actor=request.user,
            content=statement_of(fields),
            reason=fields["reason"],
            after=fields["after"],
        )
        return Response(self._represent(item_or_404(signed_in(request.user), item_id)), status=201)

    def _represent(self, item: QueueItem) -> Any:
        if item.status == ItemStatus.WAITING:
            raise CodedError(
                "not_ready", "Some readers have not labelled this case yet.", "Decide when they have."
            )
        item.labels, item.decision = labels_of(item), decision_of(item)
        for label in item.labels:
            label.hides_reader = item.status != ItemStatus.SETTLED
        return DecisionSerializer(item).data


def represent(request: Request, item: QueueItem) -> Any:
    """A case: nothing of the scan but its size, until the caller has labelled it."""
    item.own = own_label(item, request.user)
    item.result = finished_analysis(item.own.scan) if item.own else None
    return CaseSerializer(item).data
