"""Who may call: a bearer token's site and scopes, checked before the body of a request is read."""

from __future__ import annotations

from django.core.files.uploadhandler import FileUploadHandler, StopUpload
from rest_framework.request import Request

from classifier.images.listing import KIND_BYTES
from webapp.accounts.models import Site
from webapp.accounts.services import active_membership, can
from webapp.core.errors import CodedError
from webapp.scans.files import most_bytes

MULTIPART_ALLOWANCE = 64 * 1024  # the fields and boundaries around the file itself


def site_granting(request: Request, permission: str) -> Site:
    """The caller's site; raises CodedError `no_site`, or `forbidden` naming the permission that lacks."""
    membership = active_membership(request)
    if membership is None:
        raise CodedError("no_site")
    demand(request, permission, membership.site)
    return membership.site


def demand(request: Request, permission: str, site: Site) -> None:
    """Raise CodedError `forbidden` unless both the caller's role and the token's scopes grant it."""
    if can(request.user, permission, site):
        return
    scopes = getattr(request.auth, "scopes", None)
    if scopes is not None and permission not in scopes:
        raise CodedError(
            "forbidden",
            message=f"This token lacks the scope {permission}.",
            remedy=f"Make a token with it: manage.py create_token USER --scope {permission}",
        )
    raise CodedError("forbidden")


def check_declared_size(request: Request, limit: int) -> None:
    """Refuse by Content-Length alone; raises CodedError `length_required` (411) or `too_large` (413)."""
    declared = request.META.get("CONTENT_LENGTH") or ""
    if not declared.isdigit():
        raise CodedError("length_required")
    if int(declared) > limit + MULTIPART_ALLOWANCE:
        raise CodedError("too_large")


class FileLimit(FileUploadHandler):
    """Stops a file as soon as its first bytes, or their number, say that it is larger than its kind may be.

    Goes before the handlers that keep it, which then drop what they have; ask `check` once all is read.
    """

    declared = 0
    passed = False

    def check(self) -> None:
        """Raise CodedError `too_large` (413) if the file was stopped."""
        if self.passed:
            raise CodedError("too_large")

    def handle_raw_input(self, input_data, META, content_length, boundary, encoding=None) -> None:
        self.declared = content_length - MULTIPART_ALLOWANCE

    def new_file(self, *args, **kwargs) -> None:
        super().new_file(*args, **kwargs)
        self.head = b""

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes:
        self.head += raw_data[: KIND_BYTES - len(self.head)]
        declared = self.declared if len(self.head) == KIND_BYTES else 0
        if max(start + len(raw_data), declared) > most_bytes(self.head):
            self.passed = True
            raise StopUpload(connection_reset=True)
        return raw_data

    def file_complete(self, file_size: int) -> None:
        return None
