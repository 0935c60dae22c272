"""Webhooks over HTTP: subscribe, look at what was sent, send again."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from webapp.api.filters import DeliveryFilter
from webapp.api.resource import Listing, Resource
from webapp.api.serializers import webhooks as shapes
from webapp.webhooks import services
from webapp.webhooks.models import Delivery, Subscription
from webapp.webhooks.selectors import (
    PERMISSION,
    deliveries_of,
    delivery_or_404,
    subscription_or_404,
    subscriptions_visible,
)


class WebhookCollection(Listing):
    needs = {"GET": PERMISSION, "POST": PERMISSION}
    queryset = Subscription.objects.none()

    def rows(self) -> Any:
        return subscriptions_visible(self.request.user)

    def answer(self, rows: list[Subscription]) -> list[dict[str, Any]]:
        return [shapes.webhook_answer(subscription) for subscription in rows]

    @extend_schema(operation_id="webhooks_list", responses=shapes.WebhookSerializer(many=True))
    def get(self, request: Request) -> Response:
        """The site's webhooks."""
        return self.listed(request)

    @extend_schema(
        operation_id="webhook_create",
        request=shapes.WebhookCreateSerializer,
        responses={201: shapes.WebhookWithSecretSerializer},
    )
    def post(self, request: Request) -> Response:
        """Have events sent to an address, from now on; keep the secret, it is told only here.

        Messages carry ids and codes, nothing of a patient. Headers are those of Standard Webhooks.
        """
        fields = self.read(request, shapes.WebhookCreateSerializer)
        subscription = services.subscription_create(site=self.site, actor=request.user, **fields)
        return Response(shapes.with_secret(subscription), status=201)


class WebhookDetail(Resource):
    needs = {"GET": PERMISSION, "PATCH": PERMISSION, "DELETE": PERMISSION}

    @extend_schema(operation_id="webhook_retrieve", responses=shapes.WebhookSerializer)
    def get(self, request: Request, webhook_id: UUID) -> Response:
        """A webhook, and whether its receiver is down."""
        return Response(shapes.webhook_answer(subscription_or_404(request.user, webhook_id)))

    @extend_schema(
        operation_id="webhook_change",
        request=shapes.WebhookChangeSerializer,
        responses=shapes.WebhookSerializer,
    )
    def patch(self, request: Request, webhook_id: UUID) -> Response:
        """Change it, or switch it off and on; honours If-Match. Switched on, it is tried at once."""
        subscription = subscription_or_404(request.user, webhook_id)
        fields = self.read(request, shapes.WebhookChangeSerializer)
        self.expect(request, lambda: shapes.webhook_answer(subscription))
        if fields:
            services.subscription_change(subscription=subscription, actor=request.user, **fields)
        return Response(shapes.webhook_answer(subscription))

    @extend_schema(operation_id="webhook_remove", responses={204: None})
    def delete(self, request: Request, webhook_id: UUID) -> Response:
        """Remove it with what is still to be sent to it, and its log; honours If-Match."""
        subscription = subscription_or_404(request.user, webhook_id)
        self.expect(request, lambda: shapes.webhook_answer(subscription))
        services.subscription_remove(subscription=subscription, actor=request.user)
        return Response(status=204)


class WebhookSecret(Resource):
    needs = {"POST": PERMISSION}

    @extend_schema(operation_id="webhook_secret", request=None, responses=shapes.WebhookWithSecretSerializer)
    def post(self, request: Request, webhook_id: UUID) -> Response:
        """A new secret; for a day messages are signed with the old one too."""
        subscription = subscription_or_404(request.user, webhook_id)
        subscription = services.secret_change(subscription=subscription, actor=request.user)
        return Response(shapes.with_secret(subscription))


class WebhookTest(Resource):
    needs = {"POST": PERMISSION}

    @extend_schema(operation_id="webhook_test", request=None, responses={201: shapes.DeliverySerializer})
    def post(self, request: Request, webhook_id: UUID) -> Response:
        """Send a `webhook.test`; how it went is in the deliveries a moment later."""
        subscription = subscription_or_404(request.user, webhook_id)
        delivery = services.trial(subscription=subscription)
        return Response(shapes.delivery_answer(delivery_or_404(subscription, delivery.pk)), status=201)


class DeliveryCollection(Listing):
    needs = {"GET": PERMISSION}
    queryset = Delivery.objects.none()
    filterset_class = DeliveryFilter

    def rows(self) -> Any:
        return deliveries_of(subscription_or_404(self.request.user, self.kwargs["webhook_id"]))

    def answer(self, rows: list[Delivery]) -> list[dict[str, Any]]:
        return [shapes.delivery_answer(delivery) for delivery in rows]

    @extend_schema(operation_id="webhook_deliveries", responses=shapes.DeliverySerializer(many=True))
    def get(self, request: Request, webhook_id: UUID) -> Response:
        """The log: what was sent, what the receiver answered each time, what is still to be sent."""
        return self.listed(request)


class DeliveryAgain(Resource):
    needs = {"POST": PERMISSION}

    @extend_schema(operation_id="webhook_delivery_again", request=None, responses=shapes.DeliverySerializer)
    def post(self, request: Request, webhook_id: UUID, delivery_id: UUID) -> Response:
        """Send once more what was delivered or given up; 409 `conflict` while it is under way."""
        subscription = subscription_or_404(request.user, webhook_id)
        delivery = services.delivery_again(delivery=delivery_or_404(subscription, delivery_id))
        return Response(shapes.delivery_answer(delivery))
