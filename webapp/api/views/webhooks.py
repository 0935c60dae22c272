"""Webhooks: subscribe, see what was sent, send again."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from webapp.api.examples import WEBHOOK_EXAMPLE
from webapp.api.filters import DeliveryFilter
from webapp.api.resource import DetailResource, ListResource, Resource
from webapp.api.schema import operation
from webapp.api.serializers.webhooks import (
    DeliverySerializer,
    WebhookChangeSerializer,
    WebhookCreateSerializer,
    WebhookSerializer,
    WebhookWithSecretSerializer,
)
from webapp.webhooks import services
from webapp.webhooks.models import Delivery, Subscription
from webapp.webhooks.selectors import (
    PERMISSION,
    deliveries_of,
    delivery_or_404,
    subscription_or_404,
    subscriptions_visible,
)


class WebhookCollection(ListResource):
    """List the site's webhooks, newest first."""

    name = "webhooks_list"
    needs = {"GET": PERMISSION, "POST": PERMISSION}
    queryset = Subscription.objects.none()
    serializer_class = WebhookSerializer
    find = subscriptions_visible

    @operation(
        "webhook_create",
        body=WebhookCreateSerializer,
        returns={201: WebhookWithSecretSerializer},
        examples=[WEBHOOK_EXAMPLE],
    )
    def post(self, request: Request) -> Response:
        """Create a webhook: events are sent to an address from now on.

        Store the secret: it is returned only here. Messages carry IDs and codes, no patient data; headers
        are those of Standard Webhooks.
        """
        subscription = services.subscription_create(site=self.site, actor=request.user, **self.read())
        return Response(WebhookWithSecretSerializer(subscription).data, status=201)


class WebhookDetail(DetailResource):
    """Get a webhook, and whether its receiver is down."""

    needs = {"GET": PERMISSION, "PATCH": PERMISSION, "DELETE": PERMISSION}
    name, find, serializer_class = "webhook_retrieve", subscription_or_404, WebhookSerializer

    @operation("webhook_change", body=WebhookChangeSerializer, returns=WebhookSerializer)
    def patch(self, request: Request, webhook_id: UUID) -> Response:
        """Change a webhook, or switch it off or on.

        Honours If-Match. Switched on, pending messages are sent at once.
        """
        subscription, fields = self.found(), self.read()
        self.expect(lambda: self.represent(subscription))
        if fields:
            services.subscription_change(subscription=subscription, actor=request.user, **fields)
        return Response(WebhookSerializer(subscription).data)

    @operation("webhook_delete", returns={204: None})
    def delete(self, request: Request, webhook_id: UUID) -> Response:
        """Delete a webhook with its pending messages and its log.

        Honours If-Match.
        """
        subscription = self.found()
        self.expect(lambda: self.represent(subscription))
        services.subscription_remove(subscription=subscription, actor=request.user)
        return Response(status=204)


class WebhookSecret(Resource):
    needs = {"POST": PERMISSION}

    @operation("webhook_secret", returns=WebhookWithSecretSerializer)
    def post(self, request: Request, webhook_id: UUID) -> Response:
        """Replace the secret; for a day messages are signed with the old one too."""
        subscription = subscription_or_404(request.user, webhook_id)
        subscription = services.secret_change(subscription=subscription, actor=request.user)
        return Response(WebhookWithSecretSerializer(subscription).data)


class WebhookTest(Resource):
    needs = {"POST": PERMISSION}

    @operation("webhook_test", returns={201: DeliverySerializer})
    def post(self, request: Request, webhook_id: UUID) -> Response:
        """Send a `webhook.test` message; its outcome is in the deliveries."""
        subscription = subscription_or_404(request.user, webhook_id)
        delivery = services.test_delivery_send(subscription=subscription)
        return Response(DeliverySerializer(delivery_or_404(subscription, delivery.pk)).data, status=201)


class DeliveryCollection(ListResource):
    """List the deliveries of a webhook with every attempt, newest first."""

    name = "webhook_deliveries"
    needs = {"GET": PERMISSION}
    queryset = Delivery.objects.none()
    filterset_class = DeliveryFilter
    serializer_class = DeliverySerializer

    def rows(self) -> Any:
        return deliveries_of(subscription_or_404(self.request.user, self.kwargs["webhook_id"]))


class DeliveryAgain(Resource):
    needs = {"POST": PERMISSION}

    @operation("webhook_redeliver", returns=DeliverySerializer)
    def post(self, request: Request, webhook_id: UUID, delivery_id: UUID) -> Response:
        """Send a delivered or failed message again; 409 `conflict` while it is pending."""
        subscription = subscription_or_404(request.user, webhook_id)
        delivery = services.redeliver(delivery=delivery_or_404(subscription, delivery_id))
        return Response(DeliverySerializer(delivery).data)
