"""Template values of the page on destinations of results."""

from __future__ import annotations

from typing import Any

from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from webapp.accounts.models import Site, User
from webapp.labels.selectors import OTHER
from webapp.pages.display import name_of_finding
from webapp.registry.selectors import active_models
from webapp.results.kinds import CHOOSABLE, NO_FINDING, OBJECT_DESTINATIONS, DestinationKind, ObjectKind, When
from webapp.results.models import Cause, Destination, ResultDelivery, Rule
from webapp.results.selectors import deliveries_visible, destinations_visible

MOST_DELIVERIES = 50
Status = ResultDelivery.Status
STATES = {
    Status.WAITING: gettext_lazy("Waiting"),
    Status.SENDING: gettext_lazy("Sending"),
    Status.DELIVERED: gettext_lazy("Delivered"),
    Status.FAILED: gettext_lazy("Failed"),
    Status.DISMISSED: gettext_lazy("Dismissed"),
}
CAUSES = {
    Cause.RULE: gettext_lazy("Rule"),
    Cause.REQUEST: gettext_lazy("On request"),
    Cause.CORRECTION: gettext_lazy("Moved scan"),
    Cause.TEST: gettext_lazy("Connection test"),
}


def page_context(user: User, site: Site) -> dict[str, Any]:
    """The site's destinations with their rules, and what can be chosen for new ones."""
    rows = destinations_visible(user).filter(site=site)
    return {
        "site": site,
        "destinations": [_destination(one) for one in rows],
        "kinds": DestinationKind.choices,
        "whens": When.choices,
        "objects": [(kind.value, kind.label) for kind in CHOOSABLE],
        "findings": _findings(),
        **log_context(user, site),
    }


def log_context(user: User, site: Site) -> dict[str, Any]:
    """Dead letters, and the latest deliveries."""
    rows = deliveries_visible(user).filter(destination__site=site)
    # A failed test is repeated by its button, not sent again.
    dead = rows.filter(status=Status.FAILED).exclude(cause=Cause.TEST)
    return {
        "dead": _deliveries(dead),
        "dead_count": dead.count(),
        "latest": _deliveries(rows.exclude(~Q(cause=Cause.TEST), status=Status.FAILED)),
        "pending": rows.filter(status__in=[Status.WAITING, Status.SENDING]).exists(),
    }


def _destination(one: Destination) -> dict[str, Any]:
    return {
        "row": one,
        "kind": DestinationKind(one.kind).label,
        "takes_objects": one.kind in OBJECT_DESTINATIONS,
        "rules": [{"row": rule, "text": rule_text(rule)} for rule in one.rules.all()],
    }


def rule_text(rule: Rule) -> str:
    """A rule as a sentence of three parts."""
    findings = [_finding(code) for code in rule.findings]
    what = ", ".join(findings) if findings else _("All results")
    withheld = _("withheld results too") if rule.withheld else _("no withheld results")
    parts = [str(When(rule.when).label), f"{what}; {withheld}"]
    if rule.destination.kind in OBJECT_DESTINATIONS:
        parts.append(", ".join(str(ObjectKind(kind).label) for kind in rule.kinds))
    return " · ".join(parts)


def _finding(code: str) -> str:
    return _("No finding reported") if code == NO_FINDING else name_of_finding(code)


def _findings() -> list[tuple[str, str]]:
    known = {finding for version in active_models().values() for finding in version.model_spec.findings}
    return [(code, _finding(code)) for code in [*sorted(known - {OTHER}), NO_FINDING]]


def _deliveries(rows: QuerySet[ResultDelivery]) -> list[dict[str, Any]]:
    return [
        {
            "row": one,
            "state": STATES[Status(one.status)],
            "cause": CAUSES[Cause(one.cause)],
            "tries": list(one.tries.all()),
            "last": next(reversed(one.tries.all()), None),
        }
        for one in rows[:MOST_DELIVERIES]
    ]
