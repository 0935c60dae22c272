from __future__ import annotations

from django.urls import path

from webapp.accounts import views
from webapp.accounts.members.views import invitation

app_name = "accounts"
urlpatterns = [
    path("sign-in/", views.sign_in, name="sign_in"),
    path("sign-out/", views.sign_out, name="sign_out"),
    path("site/", views.choose_site, name="choose_site"),
    path("invitations/<str:secret>/", invitation, name="invitation"),
    path("preferences/", views.preferences, name="preferences"),
]
