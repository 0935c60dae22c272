"""Events reach their receivers: each one, in order per scan, signed, through outages."""

from __future__ import annotations

import base64
import hashlib
import hmac
import uuid
from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from tests.factories import AnalysisFactory, PatientFactory, UploadFactory, cam, prediction
from webapp.analysis.models import Analysis
from webapp.analysis.services import analysis_done
from webapp.core.errors import CodedError
from webapp.core.jobs import table as jobs
from webapp.scans.models import Upload
from webapp.scans.patients.corrections import patient_merge, patient_unmerge, scan_move
from webapp.scans.services import upload_finish, upload_refuse
from webapp.webhooks import services
from webapp.webhooks.kinds import EventKind
from webapp.webhooks.models import Attempt, Delivery, Event, Subscription
from webapp.webhooks.signing import secret_of

pytestmark = pytest.mark.django_db


def verified(headers: dict, body: bytes, secret: str) -> bool:
    """As a receiver does it by the Standard Webhooks specification."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    mine = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return mine in headers["webhook-signature"].split(" ")


def test_receivers_verify_with_their_secret_until_its_key_is_removed(
    receiver, subscription, announce_event, send_all, settings
):
    old = secret_of(subscription)
    settings.WEBHOOK_KEYS = ["a new key of more than thirty-two characters", settings.SECRET_KEY]
    new = secret_of(subscription)
    announce_event(uuid.uuid4(), status="done")
    send_all()
    assert new != old
    assert all(verified(*receiver.got[-1], secret) for secret in (old, new))
    settings.WEBHOOK_KEYS = settings.WEBHOOK_KEYS[:1]
    announce_event(uuid.uuid4(), status="done")
    send_all()
    assert [verified(*receiver.got[-1], secret) for secret in (old, new)] == [False, True]


def test_another_secret_key_leaves_the_secrets_as_they_are(subscription, settings):
    settings.WEBHOOK_KEYS = ["a key of its own, of more than thirty-two"]
    before = secret_of(subscription)
    settings.SECRET_KEY = "another-secret-key-0123456789-0123456789"
    assert secret_of(subscription) == before


def test_an_event_arrives_signed_and_names_nobody(receiver, subscription, announce_event, send_all):
    scan = uuid.uuid4()
    announce_event(scan, status="done")
    assert send_all() == 1
    [(headers, body)] = receiver.got
    assert verified(headers, body, secret_of(subscription))
    assert not verified(headers, body + b" ", secret_of(subscription))
    assert not verified(headers | {"webhook-timestamp": "1"}, body, secret_of(subscription))
    assert not verified(headers, body, secret_of(subscription, version=2))
    delivery = Delivery.objects.get()
    assert headers["webhook-id"] == str(delivery.pk)
    assert abs(int(headers["webhook-timestamp"]) - timezone.now().timestamp()) < 60
    [message] = receiver.messages()
    assert (message["type"], message["data"]) == ("analysis.done", {"id": str(scan), "status": "done"})
    assert (delivery.status, [one.response_status for one in delivery.tries.all()]) == ("delivered", [200])


def test_a_receiver_that_was_down_gets_everything_in_order_of_each_scan(
    receiver, subscription, announce_event, send_all
):
    one, other = uuid.uuid4(), uuid.uuid4()
    receiver.status = 503
    for n in range(3):
        for subject in (one, other):
            announce_event(subject, n=n)
        send_all()
    assert (receiver.got, receiver.asked) == ([], 1), "a receiver that is down is left alone for a while"
    send_all(later=True)
    assert receiver.asked == 2
    receiver.status = 200
    announce_event(one, n=3)
    send_all(later=True)
    reported = receiver.messages()
    for subject, count in ((one, 4), (other, 3)):
        mine = [message for message in reported if message["data"]["id"] == str(subject)]
        assert [message["data"]["n"] for message in mine] == list(range(count))
        assert [m["sequence"] for m in mine] == sorted(m["sequence"] for m in mine)
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 7
    assert not Delivery.objects.exclude(status="delivered").exists()
    subscription.refresh_from_db()
    assert (subscription.failures, subscription.paused_until) == (0, None)


def test_a_receiver_that_cannot_be_reached_is_tried_again(receiver, subscription, announce_event, send_all):
    announce_event(uuid.uuid4())
    receiver.stop()
    send_all()
    delivery = Delivery.objects.get()
    assert (delivery.status, delivery.error_code) == ("waiting", "unreachable")
    assert [one.response_status for one in delivery.tries.all()] == [None]


def test_what_a_receiver_does_not_like_holds_up_that_scan_alone(
    receiver, subscription, announce_event, send_all
):
    poison, fine = uuid.uuid4(), uuid.uuid4()
    receiver.responses = [400]
    announce_event(poison, n=0)
    announce_event(poison, n=1)
    announce_event(fine, n=0)
    send_all()
    assert [message["data"]["id"] for message in receiver.messages()] == [str(fine)]
    assert Delivery.objects.filter(status="waiting").count() == 2
    send_all(later=True)
    assert [m["data"]["n"] for m in receiver.messages()[1:]] == [0, 1]


def test_one_receiver_that_is_down_holds_up_no_other(
    receiver, subscription, site, owner, announce_event, send_all
):
    down = services.subscription_create(
        site=site, actor=owner, url="http://127.0.0.1:9/", kinds=["analysis.done"]
    )
    for _ in range(3):
        announce_event(uuid.uuid4())
    send_all()
    assert len(receiver.got) == 3
    assert Attempt.objects.filter(delivery__subscription=down).count() == 1


def test_a_redirect_is_a_no(receiver, subscription, announce_event, send_all):
    receiver.responses = [302]
    announce_event(uuid.uuid4())
    send_all()
    assert (receiver.asked, receiver.got) == (1, [])
    assert Delivery.objects.get().error_code == "http_error"


def test_a_receiver_that_states_gone_is_switched_off(receiver, subscription, announce_event, send_all):
    receiver.status = 410
    announce_event(uuid.uuid4())
    send_all()
    subscription.refresh_from_db()
    assert (subscription.active, subscription.ended) == (False, "gone")
    announce_event(uuid.uuid4())
    assert Delivery.objects.count() == 1
    receiver.status = 200
    services.subscription_change(subscription=subscription, actor=subscription.created_by, active=True)
    send_all(later=True)
    assert len(receiver.got) == 1


def test_what_was_never_taken_is_given_up_after_a_week_and_can_be_sent_again(
    receiver, subscription, announce_event, send_all
):
    receiver.status = 500
    announce_event(uuid.uuid4())
    Event.objects.update(created_at=timezone.now() - timedelta(days=8))
    send_all()
    delivery = Delivery.objects.get()
    assert delivery.status == "failed"
    receiver.status = 200
    services.redeliver(delivery=delivery)
    with pytest.raises(CodedError):
        services.redeliver(delivery=delivery)
    send_all(later=True)
    assert len(receiver.got) == 1


def test_a_worker_that_dies_at_it_loses_nothing(receiver, subscription, announce_event, send_all):
    announce_event(uuid.uuid4(), n=0)
    lost = services.delivery_claim()
    assert services.delivery_claim() is None
    Delivery.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    send_all()
    assert len(receiver.got) == 1
    reported = {"delivery": lost, "seconds": 1.0}
    assert not services.delivery_done(response_status=200, **reported)
    assert not services.delivery_failed(code="unreachable", **reported)
    assert Delivery.objects.get().status == "delivered"


def test_for_a_day_after_a_change_of_secret_both_sign(
    receiver, subscription, announce_event, send_all, owner
):
    old = secret_of(subscription)
    new = secret_of(services.secret_change(subscription=subscription, actor=owner))
    announce_event(uuid.uuid4())
    send_all()
    [(headers, body)] = receiver.got
    assert old != new
    assert verified(headers, body, old)
    assert verified(headers, body, new)
    Subscription.objects.update(secret_changed_at=timezone.now() - timedelta(hours=25))
    announce_event(uuid.uuid4())
    send_all()
    assert [verified(*receiver.got[1], secret) for secret in (old, new)] == [False, True]


def test_pauses_grow_up_to_five_minutes():
    assert [services.pause_after(n).seconds for n in (1, 2, 3, 7, 99)] == [5, 10, 20, 300, 300]


def test_who_asked_for_some_kinds_gets_no_others(receiver, site, owner, announce_event, send_all):
    services.subscription_create(site=site, actor=owner, url=receiver.url, kinds=["upload.refused"])
    announce_event(uuid.uuid4())
    announce_event(uuid.uuid4(), EventKind.UPLOAD_REFUSED, reason="too_small")
    send_all()
    assert [message["type"] for message in receiver.messages()] == ["upload.refused"]


def test_another_sites_events_are_not_reported(receiver, subscription, other_site, send_all):
    with transaction.atomic():
        services.announce(site_id=other_site.pk, kind=EventKind.ANALYSIS_DONE, subject=uuid.uuid4(), data={})
    assert send_all() == 0


@transaction.atomic
def undone(announce_event) -> None:
    announce_event(uuid.uuid4())
    raise ZeroDivisionError


def test_what_is_rolled_back_is_not_reported(subscription, announce_event):
    with pytest.raises(ZeroDivisionError):
        undone(announce_event)
    assert not Event.objects.exists()


def test_a_trial_goes_to_the_one_that_it_was_asked_for(receiver, subscription, site, owner, send_all):
    services.subscription_create(site=site, actor=owner, url=receiver.url, kinds=["scan.moved"])
    services.test_delivery_send(subscription=subscription)
    send_all()
    assert [message["type"] for message in receiver.messages()] == ["webhook.test"]


def test_a_month_old_log_is_forgotten_and_what_waited_for_a_week_given_up(subscription, announce_event):
    announce_event(uuid.uuid4())
    Event.objects.update(created_at=timezone.now() - timedelta(days=8))
    services.deliveries_tidy()
    assert (Delivery.objects.get().status, Delivery.objects.get().error_code) == ("failed", jobs.GAVE_UP)
    Event.objects.update(created_at=timezone.now() - timedelta(days=31))
    services.deliveries_tidy()
    assert not Event.objects.exists()


def test_each_step_of_a_files_lifecycle_is_reported_once(subscription, site, owner, tmp_path):
    from tests.factories import ModelVersionFactory, parsed

    def reported() -> list[tuple[str, str]]:
        return list(Event.objects.order_by("number").values_list("kind", "subject"))

    ModelVersionFactory()
    uploads = [UploadFactory(site=site, user=owner) for _ in range(3)]
    claimed = {upload.pk: upload for upload in Upload.objects.claim(3)}
    whole, refused, failed = (claimed[upload.pk] for upload in uploads)
    token = whole.attempt_token
    upload_refuse(upload=refused, reason="too_small")
    failed.fail("parser_gave_out")
    [scan] = upload_finish(upload=whole, results=[parsed(whole, token)])
    assert upload_finish(upload=whole, results=[]) is None
    [analysis] = Analysis.objects.claim()
    text = {"prediction": prediction(pneumonia=0.8), "cam": cam(), "seconds": 0.1}
    assert analysis_done(analysis=analysis, **text)
    assert not analysis_done(analysis=analysis, **text)
    scan_move(scan=scan, patient=PatientFactory(site=site), actor=_admin(owner), reason="wrong")
    assert reported() == [
        ("upload.refused", refused.pk),
        ("upload.failed", failed.pk),
        ("scan.created", scan.pk),
        ("analysis.done", scan.pk),
        ("scan.moved", scan.pk),
    ]
    AnalysisFactory(scan__site=site, model_version=analysis.model_version)
    [broken] = Analysis.objects.claim()
    broken.fail("out_of_memory")
    assert reported()[-1] == ("analysis.failed", broken.scan_id)


def test_a_merge_and_its_unmerging_are_reported(subscription, site, owner):
    one, other = PatientFactory(site=site), PatientFactory(site=site)
    merge = patient_merge(source=one, target=other, actor=_admin(owner), reason="one")
    patient_unmerge(merge=merge, actor=owner, reason="two")
    assert list(Event.objects.order_by("number").values_list("kind", "subject")) == [
        ("patient.merged", one.pk),
        ("patient.unmerged", one.pk),
    ]


def _admin(user):
    from webapp.accounts.models import Role

    user.memberships.update(role=Role.objects.get(name="admin"))
    return user
