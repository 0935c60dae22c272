"""Measurements and marks of an image: adding, changing and deleting each append a version."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import transaction

from webapp.accounts.models import User
from webapp.accounts.permissions import Permission
from webapp.accounts.services import demand
from webapp.audit.services import record
from webapp.core.errors import CodedError
from webapp.labels.marks.measure import checked, measure
from webapp.labels.marks.models import ImageMark, MarkKind
from webapp.labels.marks.selectors import marks_of
from webapp.scans.models import Scan

MAX_MARKS = 100
MAX_TEXT = 200


def mark_add(
    *, scan: Scan, actor: User, kind: str, points: Sequence[Sequence[float]], text: str = ""
) -> ImageMark:
    """Save a mark. Raises CodedError `forbidden`, `invalid`, `conflict` at MAX_MARKS of an image."""
    demand(actor, Permission.SCAN_LABEL, scan.site)
    content = _content(scan, kind, points, text)
    with transaction.atomic():
        _lock(scan)
        if marks_of(scan).count() >= MAX_MARKS:
            raise CodedError("conflict", f"An image has at most {MAX_MARKS} marks.", "Delete some first.")
        return _append(scan, actor, "mark.added", kind=kind, **content)


def mark_change(
    *, mark: ImageMark, actor: User, points: Sequence[Sequence[float]], text: str = ""
) -> ImageMark:
    """Append a version with other points or text. Raises as `mark_add`; `conflict` if superseded."""
    demand(actor, Permission.SCAN_LABEL, mark.scan.site)
    content = _content(mark.scan, mark.kind, points, text)
    return _supersede(mark, actor, "mark.changed", **content)


def mark_delete(*, mark: ImageMark, actor: User) -> ImageMark:
    """Append a version that deletes the mark; the earlier ones stay. Raises CodedError as `mark_change`."""
    demand(actor, Permission.SCAN_LABEL, mark.scan.site)
    kept = {"points": mark.points, "text": mark.text, "values": mark.values}
    return _supersede(mark, actor, "mark.deleted", **kept, deleted=True)


def _content(scan: Scan, kind: str, points: Sequence[Sequence[float]], text: str) -> dict[str, Any]:
    text = " ".join(text.split())
    if kind not in MarkKind.values:
        raise CodedError("invalid", f'"{kind}" is not a kind of mark.', f"Use one of {', '.join(MarkKind)}.")
    if kind == MarkKind.ARROW and not text:
        raise CodedError("invalid", "The arrow has no text.", "Enter what it points to.")
    if len(text) > MAX_TEXT or "\x00" in text:
        raise CodedError("invalid", f"A mark's text has at most {MAX_TEXT} characters.", "Shorten it.")
    points = checked(scan, kind, points)
    return {"points": points, "text": text, "values": measure(scan, kind, points)}


@transaction.atomic
def _supersede(mark: ImageMark, actor: User, action: str, **content: Any) -> ImageMark:
    _lock(mark.scan)
    if mark.deleted or ImageMark.objects.filter(supersedes=mark).exists():
        raise CodedError("conflict", "The mark was changed or deleted meanwhile.", "Reload the marks.")
    return _append(mark.scan, actor, action, kind=mark.kind, supersedes=mark, **content)


def _lock(scan: Scan) -> None:
    """Two changes at once wait here."""
    Scan.objects.select_for_update(no_key=True).get(pk=scan.pk)


def _append(scan: Scan, actor: User, action: str, **content: Any) -> ImageMark:
    name = actor.get_full_name() or actor.get_username()
    mark = ImageMark.objects.create(site=scan.site, scan=scan, author=actor, signed_as=name, **content)
    record(actor=actor, site=scan.site, action=action, subject=mark, detail={"scan": str(scan.pk)})
    return mark
