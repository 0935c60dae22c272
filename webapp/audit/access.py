"""Recording who opened what: every request that reads patients' data leaves an event, whatever its view does.

One event for each user, patient and visit; what names no patient is recorded by its route. A visit begins
with the first event and lasts VISIT; it is kept in the cache, so without Redis each process counts its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import timedelta
from uuid import UUID

from django.core.cache import cache
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from redis.exceptions import RedisError

from webapp.accounts.models import Site, User
from webapp.accounts.services import active_membership
from webapp.audit.models import AuditEvent
from webapp.audit.patients import patient_of
from webapp.audit.services import acting_user, record
from webapp.audit.signing import term_hash
from webapp.core.http.current import records_read
from webapp.core.http.network import client_ip

VISIT = timedelta(minutes=30)
# A refusal that is repeated within a minute is one event; unknown tokens are recorded up to a number.
REFUSAL, UNKNOWN_TOKENS_A_MINUTE = timedelta(minutes=1), 60
REFUSED = frozenset(
    {
        "forbidden",
        "above_own_rights",
        "insufficient_scope",
        "no_site",
        "csrf",
        "adjudicator_is_reader",
        "locked_out",
    }
)
SAFE = ("GET", "HEAD")
# Routes that show nothing about a patient. What they change is recorded all the same.
NOT_ABOUT_PATIENTS = frozenset(
    {
        *(
            "healthz",
            "accounts:sign_in",
            "accounts:preferences",
            "api-me",
            "api-sites",
            "api-docs",
            "api-schema",
        ),
        *(
            "pages:script_texts",
            "pages:phantoms",
            "pages:phantoms_collection",
            "api-phantoms",
            "api-missing-slash",
        ),
        *("pages:worklist_waiting", "admin:jsi18n", "metrics"),
        *("pages:account_password", "pages:account_sessions", "pages:account_tokens"),
        *("pages:members", "accounts:invitation", "pages:account_confirm"),
        *("pages:models", "pages:model", "pages:model_card", "pages:promotion_policy", "pages:calibration"),
        *(
            "pages:monitoring",
            "pages:alarm",
            "pages:training",
            "pages:run",
            "pages:run_state",
            "pages:snapshot",
        ),
        *("api-models", "api-model", "api-model-card", "api-model-monitoring", "api-model-promotion-gate"),
        *(
            "api-model-shadow",
            "api-model-calibration",
            "api-model-calibrations",
            "api-monitoring",
            "api-alarms",
        ),
        *("api-alarm", "api-comparisons", "api-comparison", "api-promotion-policies", "api-promotions"),
        *("api-promotion-policies-current", "api-snapshots", "api-snapshot", "api-training-schedules"),
        *("api-training-schedule", "api-training-runs", "api-training-run", "api-training-run-log"),
        *("api-webhooks", "api-webhook", "api-webhook-deliveries", "api-model-calibrations-preview"),
    }
)


def record_request(*, request: HttpRequest, response: HttpResponse) -> None:
    """Record what the request has read, or that it was refused; without an event there is no response."""
    match = request.resolver_match
    if match is None:
        return
    code = getattr(response, "error_code", "")
    if response.status_code >= 400 or code:
        _record_refusal(request, code, match.view_name, match.kwargs)
        return
    user = acting_user()
    if user is None:
        return
    read = [one for one in records_read(request) if _record_patient(request, user, one, match.view_name)]
    changes = request.method not in SAFE
    if getattr(request, "is_recorded", False) or (read and not changes):
        return
    if changes or match.view_name not in NOT_ABOUT_PATIENTS:
        _record_route(request, user, match.view_name, match.kwargs)


def record_search(*, user: User, site: Site | None, where: str, terms: Iterable[str]) -> None:
    """Record a search by its words, hashed with the key of the log: an auditor who knows a word finds it.

    The same search is one event a visit. Empty terms are no search.
    """
    hashes = sorted({term_hash(word) for term in terms for word in term.split()})
    if hashes:
        once(
            f"search:{user.pk}:{where}:{term_hash(' '.join(hashes))}",
            VISIT,
            lambda: record(
                actor=user, site=site, action="patients.searched", detail={"in": where, "terms": hashes}
            ),
        )


def once(key: str, period: timedelta, act: Callable[[], object]) -> None:
    """Act unless this was done within the period; always where the cache does not work."""
    name = f"audit:{key}"
    try:
        first = cache.add(name, 1, timeout=period.total_seconds())
    except (OSError, RedisError):
        first = True
    if not first:
        return
    try:
        act()
    except BaseException:
        with suppress(OSError, RedisError):
            cache.delete(name)
        raise


def _record_patient(request: HttpRequest, user: User, read: Model, route: str) -> bool:
    """Record that the user saw the record's patient; False for a record that is no patient's."""
    who = _who(user)
    key = f"audit:read:{who}:{read._meta.label_lower}:{read.pk}"
    if _in_cache(key):
        return True
    patient = patient_of(read)
    if patient is None:
        return False
    site = getattr(read, "site", None) or active_site(request, user)
    once(
        f"viewed:{who}:{patient}",
        VISIT,
        lambda: record(
            actor=user,
            site=site,
            action="patient.viewed",
            subject=read,
            patient=patient,
            detail={"route": route},
        ),
    )
    with suppress(OSError, RedisError):
        cache.set(key, 1, timeout=60)
    return True


def _record_route(request: HttpRequest, user: User, route: str, kwargs: dict[str, object]) -> None:
    action = "access.opened" if request.method in SAFE else "access.posted"
    place = next((str(value) for value in kwargs.values()), "")

    def act() -> AuditEvent:
        detail = {"route": route} | ({"object": place[:64]} if place else {})
        return record(actor=user, site=active_site(request, user), action=action, detail=detail)

    if action == "access.posted" and request.path.startswith("/admin/"):
        act()
    else:
        once(f"{action}:{_who(user)}:{route}:{place[:64]}", VISIT, act)


def _record_refusal(request: HttpRequest, code: str, route: str, kwargs: dict[str, object]) -> None:
    user = acting_user()
    if user is None:
        _record_bad_token(request)
        if code != "locked_out":
            return
    keys = [value for value in kwargs.values() if isinstance(value, UUID)]
    sought = code == "not_found" and (keys or request.path.startswith("/admin/"))
    if code not in REFUSED and not sought:
        return
    detail = {"code": code, "route": route} | ({"object": str(keys[0])} if keys else {})
    site = active_site(request, user) if user else None
    once(
        f"refused:{_who(user) if user else ''}:{code}:{route}:{keys[0] if keys else ''}",
        REFUSAL,
        lambda: record(actor=user, site=site, action="access.refused", detail=detail),
    )


def _record_bad_token(request: HttpRequest) -> None:
    token, reason = getattr(request, "token_refusal", (None, ""))
    if not reason:
        return
    if token is None and not _within_budget():
        return
    site = token.site if token else None
    once(
        f"token:{token.pk if token else 'unknown'}:{client_ip(request)}",
        REFUSAL,
        lambda: record(
            actor=None, site=site, action="token.refused", subject=token, detail={"reason": reason}
        ),
    )


def _within_budget() -> bool:
    """Whether another unknown token may be recorded this minute: outsiders must not fill the log."""
    key = "audit:unknown-tokens"
    try:
        cache.add(key, 0, timeout=60)
        return cache.incr(key) <= UNKNOWN_TOKENS_A_MINUTE
    except (OSError, RedisError, ValueError):  # without a cache, or the minute is over
        return True


def active_site(request: HttpRequest, user: User) -> Site | None:
    """The site of the token, or the one that the user works at."""
    token = getattr(user, "api_token", None)
    if token is not None:
        site: Site = token.site
        return site
    membership = active_membership(request)
    return membership.site if membership else None


def _who(user: User) -> str:
    token = getattr(user, "api_token", None)
    return f"{user.pk}:{token.pk}" if token else str(user.pk)


def _in_cache(key: str) -> bool:
    try:
        return cache.get(key) is not None
    except (OSError, RedisError):
        return False
