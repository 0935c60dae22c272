"""Destinations of results: where a site's results are sent, by which rules, and each delivery."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

import django_filters as df
from rest_framework.request import Request
from rest_framework.response import Response

from webapp.accounts.services import signed_in
from webapp.api.destinations.serializers import (
    DestinationChangeSerializer,
    DestinationCreateSerializer,
    DestinationSerializer,
    ResultDeliverySerializer,
    ResultRuleCreateSerializer,
    ResultRuleSerializer,
    ResultSendSerializer,
)
from webapp.api.examples import DESTINATION_EXAMPLE
from webapp.api.filters import ChoiceFilter, UUIDFilter
from webapp.api.resource import DetailResource, ListResource, Resource
from webapp.api.schema import operation
from webapp.core.queries import get_or_404
from webapp.results import deliveries, services
from webapp.results.models import DeliveryStatus, Destination, ResultDelivery
from webapp.results.selectors import (
    PERMISSION,
    deliveries_visible,
    delivery_or_404,
    destination_or_404,
    destinations_visible,
    requestable,
    rule_or_404,
)
from webapp.scans.selectors import scan_or_404

SEND = "result.send"


class DestinationCollection(ListResource):
    """List the site's destinations of results with their rules, newest first."""

    name = "destinations_list"
    needs: ClassVar = {"GET": PERMISSION, "POST": PERMISSION}
    queryset = Destination.objects.none()
    serializer_class = DestinationSerializer
    find = destinations_visible

    @operation(
        "destination_create",
        body=DestinationCreateSerializer,
        returns={201: DestinationSerializer},
        examples=[DESTINATION_EXAMPLE],
    )
    def post(self, request: Request) -> Response:
        """Create a destination: a PACS (`dicom`, `stow`), a FHIR server or an HL7 v2 receiver.

        Nothing is sent until it has a rule. Private networks have to be named in HILUM_WEBHOOK_NETWORKS;
        public addresses need TLS.
        """
        user = signed_in(request.user)
        destination = services.destination_create(site=self.site, actor=user, **self.read())
        return Response(DestinationSerializer(destination).data, status=201)


class DestinationDetail(DetailResource):
    """Get a destination of results, and whether it is down."""

    needs: ClassVar = {"GET": PERMISSION, "PATCH": PERMISSION, "DELETE": PERMISSION}
    name, find, serializer_class = "destination_retrieve", destination_or_404, DestinationSerializer

    @operation("destination_change", body=DestinationChangeSerializer, returns=DestinationSerializer)
    def patch(self, request: Request, destination_id: UUID) -> Response:
        """Change a destination, or switch it off or on.

        Honours If-Match. Pending deliveries are sent to the new address at once.
        """
        destination, fields = self.found(), self.read()
        self.expect(lambda: self.represent(destination))
        if fields:
            user = signed_in(request.user)
            services.destination_change(destination=destination, actor=user, **fields)
        return Response(DestinationSerializer(destination).data)

    @operation("destination_delete", returns={204: None})
    def delete(self, request: Request, destination_id: UUID) -> Response:
        """Delete a destination with its rules; pending deliveries are dismissed, the log is kept.

        Honours If-Match.
        """
        destination = self.found()
        self.expect(lambda: self.represent(destination))
        services.destination_remove(destination=destination, actor=signed_in(request.user))
        return Response(status=204)


class DestinationTest(Resource):
    needs: ClassVar = {"POST": PERMISSION}

    @operation("destination_test", returns={201: ResultDeliverySerializer})
    def post(self, request: Request, destination_id: UUID) -> Response:
        """Test the connection without patient data, such as by C-ECHO; its delivery has the outcome."""
        user = signed_in(request.user)
        destination = destination_or_404(user, destination_id)
        delivery = deliveries.destination_test(destination=destination, actor=user)
        return Response(ResultDeliverySerializer(delivery).data, status=201)


class DestinationRules(Resource):
    needs: ClassVar = {"POST": PERMISSION}

    @operation("result_rule_create", body=ResultRuleCreateSerializer, returns={201: ResultRuleSerializer})
    def post(self, request: Request, destination_id: UUID) -> Response:
        """Add a rule: which results are sent there, as which objects, and when; for results from now on."""
        user = signed_in(request.user)
        destination = destination_or_404(user, destination_id)
        rule = services.rule_create(destination=destination, actor=user, **self.read())
        return Response(ResultRuleSerializer(rule).data, status=201)


class ResultRuleDetail(Resource):
    needs: ClassVar = {"DELETE": PERMISSION}

    @operation("result_rule_delete", returns={204: None})
    def delete(self, request: Request, rule_id: UUID) -> Response:
        """Delete a rule; what it has queued is still sent."""
        user = signed_in(request.user)
        services.rule_remove(rule=rule_or_404(user, rule_id), actor=user)
        return Response(status=204)


class ResultDeliveryFilter(df.FilterSet):
    status = ChoiceFilter(DeliveryStatus.values, "only deliveries with this status")
    destination = UUIDFilter("destination", "only deliveries to this destination")
    scan = UUIDFilter("scan", "only deliveries of this scan's result")


class ResultDeliveryCollection(ListResource):
    """List the deliveries of results with every attempt, newest first."""

    name = "result_deliveries"
    needs: ClassVar = {"GET": PERMISSION}
    queryset = ResultDelivery.objects.none()
    filterset_class = ResultDeliveryFilter
    serializer_class = ResultDeliverySerializer
    find = deliveries_visible


class ResultDeliveryResend(Resource):
    needs: ClassVar = {"POST": PERMISSION}

    @operation("result_delivery_resend", returns=ResultDeliverySerializer)
    def post(self, request: Request, delivery_id: UUID) -> Response:
        """Send a delivered, failed or dismissed result again; 409 `conflict` while it is pending."""
        user = signed_in(request.user)
        delivery = deliveries.delivery_resend(delivery=delivery_or_404(user, delivery_id), actor=user)
        return Response(ResultDeliverySerializer(delivery).data)


class ResultDeliveryDismiss(Resource):
    needs: ClassVar = {"POST": PERMISSION}

    @operation("result_delivery_dismiss", returns=ResultDeliverySerializer)
    def post(self, request: Request, delivery_id: UUID) -> Response:
        """Give a failed or waiting delivery up; 409 `conflict` for any other."""
        user = signed_in(request.user)
        deliveries.delivery_dismiss(delivery=delivery_or_404(user, delivery_id), actor=user)
        return Response(ResultDeliverySerializer(delivery_or_404(user, delivery_id)).data)


class ScanResultSend(Resource):
    needs: ClassVar = {"POST": SEND}

    @operation("scan_result_send", body=ResultSendSerializer, returns={201: ResultDeliverySerializer})
    def post(self, request: Request, scan_id: UUID) -> Response:
        """Send a scan's result to a destination with a rule `on_request`; 409 `not_ready` without one."""
        user = signed_in(request.user)
        scan, asked = scan_or_404(user, scan_id), self.read()
        destination = get_or_404(requestable(scan.site), asked["destination"])
        delivery = deliveries.results_send(scan=scan, destination=destination, actor=user)
        return Response(ResultDeliverySerializer(delivery).data, status=201)
