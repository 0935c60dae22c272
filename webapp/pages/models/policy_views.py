"""The promotion policy: its current rules, its history, and its form."""

from __future__ import annotations

from dataclasses import fields

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from webapp.accounts.services import can_everywhere, demand
from webapp.core.errors import CodedError
from webapp.pages.access import active_site
from webapp.pages.feedback import show_error
from webapp.registry.comparisons import policy_set
from webapp.registry.models import PromotionPolicy
from webapp.registry.promotion_gate import PolicyRules
from webapp.registry.selectors import current_policy


@require_http_methods(["GET", "HEAD", "POST"])
def page(request: HttpRequest) -> HttpResponse:
    """GET shows the policy; POST saves a new version: the rules by name, and a `reason`."""
    demand(request.user, "model.view", active_site(request))
    if request.method == "POST":
        return _save(request)
    number, policy = current_policy()
    context = {
        "number": number,
        "rules": [(one.name, one.metadata, getattr(policy, one.name)) for one in fields(PolicyRules)],
        "versions": PromotionPolicy.objects.select_related("by"),
        "may_edit": can_everywhere(request.user, "promotion_policy.edit"),
    }
    return render(request, "models/policy.html", context)


def _save(request: HttpRequest) -> HttpResponse:
    demand(request.user, "promotion_policy.edit", active_site(request))
    try:
        rules = {
            one.name: type(one.default)(request.POST[one.name])
            for one in fields(PolicyRules)
            if request.POST.get(one.name)
        }
        row = policy_set(rules=rules, by=request.user, reason=request.POST.get("reason", ""))
    except ValueError:
        messages.error(request, _("Every value must be a number."))
    except CodedError as error:
        show_error(request, error)
    else:
        messages.success(request, _("Policy %(number)s saved. It is now active.") % {"number": row.number})
    return redirect("pages:promotion_policy")
