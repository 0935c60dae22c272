"""Accepting an invitation: a new account, or the one that is signed in."""

from __future__ import annotations

from django import forms
from django.contrib.auth import login
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.forms import BaseUserCreationForm
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect, render
from django.views.decorators.debug import sensitive_post_parameters

from webapp.accounts.members.services import invitation_accept, invitation_of
from webapp.accounts.models import Invitation, User

METHODS = ("GET", "HEAD", "POST")
BACKEND = "webapp.accounts.backends.AccountBackend"


class NewAccountForm(BaseUserCreationForm):
    """Names and password of an invited user."""

    class Meta(BaseUserCreationForm.Meta):
        model = User
        fields = ("username", "first_name", "last_name", "email")

    def __init__(self, invitation: Invitation, *args, **kwargs) -> None:
        super().__init__(*args, initial={"email": invitation.email}, **kwargs)
        self.instance.invited_to = invitation.site
        self.fields["password1"].help_text = self.fields["username"].help_text = ""
        for name in ("first_name", "last_name"):
            self.fields[name].required = True
        self.fields["email"].widget = forms.EmailInput(attrs={"autocomplete": "email"})


@login_not_required
@sensitive_post_parameters()
def invitation(request: HttpRequest, secret: str) -> HttpResponse:
    """GET shows the offer; POST accepts it. Raises CodedError `not_found` for what is no open invitation."""
    offer = invitation_of(secret)
    if request.method not in METHODS:
        return HttpResponseNotAllowed(METHODS)
    if isinstance(request.user, User):
        if request.method == "POST":
            invitation_accept(invitation=offer, user=request.user)
            return redirect("/")
        return render(request, "members/accept.html", {"invitation": offer})
    form = NewAccountForm(offer, data=request.POST or None)
    if request.method == "POST" and form.is_valid():
        with transaction.atomic():
            user = form.save()
            invitation_accept(invitation=offer, user=user)
        login(request, user, BACKEND)
        return redirect("/")
    return render(request, "members/accept.html", {"invitation": offer, "form": form})
