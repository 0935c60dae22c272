"""Key images: views that a reader marked, kept with their author."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from webapp.accounts.models import User
from webapp.accounts.permissions import Permission
from webapp.accounts.services import demand, for_sites
from webapp.audit.services import record
from webapp.core.errors import CodedError
from webapp.core.queries import get_or_404
from webapp.labels.marks.models import KeyImage
from webapp.scans.models import Scan

MAX_KEY_IMAGES = 50
LARGEST = 1e6
COLOURS = ("inferno", "cividis")
SIGNS = (-1, 1)
AXES = [[x, 0, 0, y] for x in SIGNS for y in SIGNS] + [[0, x, y, 0] for x in SIGNS for y in SIGNS]


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= LARGEST


def _numbers(count: int) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and len(value) == count and all(map(_number, value))


def _flag(value: Any) -> bool:
    return isinstance(value, bool)


def _share(value: Any) -> bool:
    return _number(value) and 0 <= value <= 1


VIEW: Mapping[str, Callable[[Any], bool]] = {
    "width": lambda value: _number(value) and value > 0,
    "level": _number,
    "inverted": _flag,
    "zoom": lambda value: _number(value) and 0.01 <= value <= 1000,
    "offset": _numbers(3),
    "rotation": lambda value: value in (0, 90, 180, 270),
    "flipHorizontal": _flag,
    "flipVertical": _flag,
    "area": _numbers(4),
    "axes": lambda value: value in AXES,
    "finding": lambda value: value is None or (isinstance(value, str) and len(value) <= 64),
    "opacity": _share,
    "threshold": _share,
    "colours": lambda value: value in COLOURS,
    "outlines": _flag,
}


def checked_view(view: Any) -> dict[str, Any]:
    """The view as it is stored; raises CodedError `invalid` unless it is one.

    `width` and `level` in stored grey levels; `zoom` relative to the fitted image, `offset` of its centre in
    half heights of it; `area`: left, top, right, bottom of what is shown, in image pixels; `axes`: where
    its axes point on the screen, [x right, x down, y right, y down]; then the heatmap: `opacity` 0 if off.
    """
    if not isinstance(view, dict):
        raise CodedError("invalid", "A key image needs a view.")
    wrong = [name for name, fits in VIEW.items() if name not in view or not fits(view[name])]
    left, top, right, bottom = (0, 0, 1, 1) if wrong else view["area"]
    if (
        wrong
        or not (left < right and top < bottom)
        or not all(map(math.isfinite, (left, top, right, bottom)))
    ):
        raise CodedError("invalid", f"The view has no valid {', '.join(wrong) or 'area'}.")
    return {name: view[name] for name in VIEW}


def key_images_of(scan: Scan) -> QuerySet[KeyImage]:
    """Oldest first, without those that were removed."""
    return KeyImage.objects.filter(scan=scan, removed_at=None)


def key_image_or_404(user: User, key_image_id: UUID) -> KeyImage:
    """Raises CodedError `not_found` for whoever may not see the scan, and for a removed one."""
    found = KeyImage.objects.select_related("scan__site").filter(removed_at=None)
    return get_or_404(for_sites(found, user, "scan.view", path="scan__site"), key_image_id)


def key_image_add(*, scan: Scan, actor: User, view: Any) -> KeyImage:
    """Raises CodedError `forbidden`, `invalid`, `conflict` at MAX_KEY_IMAGES of an image."""
    demand(actor, Permission.SCAN_LABEL, scan.site)
    view = checked_view(view)
    with transaction.atomic():
        Scan.objects.select_for_update(no_key=True).get(pk=scan.pk)
        if key_images_of(scan).count() >= MAX_KEY_IMAGES:
            text = f"An image has at most {MAX_KEY_IMAGES} key images."
            raise CodedError("conflict", text, "Remove some first.")
        name = actor.get_full_name() or actor.get_username()
        added = KeyImage.objects.create(site=scan.site, scan=scan, author=actor, signed_as=name, view=view)
        _record(added, actor, "key_image.added")
    return added


@transaction.atomic
def key_image_remove(*, key_image: KeyImage, actor: User) -> None:
    """Raises CodedError `forbidden`, and `conflict` where it was removed meanwhile."""
    demand(actor, Permission.SCAN_LABEL, key_image.scan.site)
    still_there = KeyImage.objects.filter(pk=key_image.pk, removed_at=None)
    if not still_there.update(removed_at=timezone.now(), removed_by=actor):
        raise CodedError("conflict", "The key image was removed meanwhile.", "Reload the page.")
    _record(key_image, actor, "key_image.removed")


def _record(key_image: KeyImage, actor: User, action: str) -> None:
    detail = {"scan": str(key_image.scan_id)}
    record(actor=actor, site=key_image.site, action=action, subject=key_image, detail=detail)
