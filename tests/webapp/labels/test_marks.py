"""Measurements and marks: measured by the server, in versions, never changed or removed."""

from __future__ import annotations

import numpy as np
import pytest
from django.db import DatabaseError, transaction
from PIL import Image

from tests import factories
from webapp.audit.models import AuditEvent
from webapp.core import storage
from webapp.core.errors import CodedError
from webapp.labels.marks.models import ImageMark
from webapp.labels.marks.selectors import mark_versions, marks_of
from webapp.labels.marks.services import mark_add, mark_change, mark_delete

pytestmark = pytest.mark.django_db


@pytest.fixture
def scan(site, settings):
    """100 rows of 200 pixels: 10 at the left, 30 at the right; modality values are twice that, less 5."""
    scan = factories.ScanFactory(site=site, rows=100, columns=200, slope=2.0, intercept=-5.0)
    levels = np.full((100, 200), 10, np.uint16)
    levels[:, 100:] = 30
    draft = settings.HILUM_DATA / "incoming" / f"{scan.pk}-display.png"
    draft.parent.mkdir(exist_ok=True, parents=True)
    Image.fromarray(levels).save(draft)
    storage.put_file(draft, scan.display_name)
    return scan


def spaced(scan, **metadata):
    scan.metadata = metadata
    scan.save()
    return scan


@pytest.fixture
def add(scan, owner):
    return lambda kind, points, **more: mark_add(scan=scan, actor=owner, kind=kind, points=points, **more)


def test_without_a_spacing_a_length_is_in_pixels_only(add):
    assert add("length", [[10, 10], [40, 50]]).values == {"px": 50.0}


@pytest.mark.parametrize(
    ("metadata", "at"),
    [
        ({"ImagerPixelSpacing": [0.5, 0.25]}, "detector"),
        ({"PixelSpacing": [0.5, 0.25], "ImagerPixelSpacing": [0.5, 0.25]}, "detector"),
        ({"PixelSpacing": [0.5, 0.25], "ImagerPixelSpacing": [0.6, 0.3]}, "patient"),
        ({"PixelSpacing": [0.5, 0.25]}, "unstated"),
    ],
)
def test_millimetres_follow_pixels_that_are_not_square_and_say_where_they_hold(add, scan, metadata, at):
    spaced(scan, **metadata)
    # 80 pixels of 0.25 mm across, 30 of 0.5 mm down.
    assert add("length", [[0, 0], [80, 30]]).values == {"px": 85.4, "mm": 25.0, "mm_at": at}


def test_an_angle_is_that_of_the_patient_not_of_the_pixel_grid(add, scan):
    spaced(scan, ImagerPixelSpacing=[0.5, 0.25])
    assert add("angle", [[60, 20], [20, 20], [40, 30]]).values == {"degrees": 45.0}


def test_a_cardiothoracic_ratio_is_heart_by_thorax(add):
    values = add("cardiothoracic", [[60, 60], [120, 60], [20, 70], [170, 70]]).values
    assert (values["ratio"], values["heart"], values["thorax"]) == (0.4, {"px": 60.0}, {"px": 150.0})


def test_a_region_is_measured_in_modality_values_over_pixels_whose_centre_is_inside(add):
    # Two columns of 10 (15 as modality value) and two of 30 (55).
    values = add("rectangle", [[102, 10], [98, 20]]).values
    assert values == {"mean": 35.0, "sd": 20.0, "min": 15.0, "max": 55.0, "pixels": 40}


def test_an_ellipse_leaves_out_the_corners_of_its_frame(add):
    values = add("ellipse", [[20, 20], [60, 40]]).values
    assert values["mean"] == 15.0
    assert values["pixels"] == pytest.approx(np.pi * 20 * 10, rel=0.02)


@pytest.mark.parametrize(("point", "value"), [([99.9, 5], 15.0), ([100, 5], 55.0), ([200, 100], 55.0)])
def test_a_probe_reads_the_pixel_under_it(add, point, value):
    assert add("probe", [point]).values == {"value": value}


@pytest.mark.parametrize(
    ("kind", "points", "text"),
    [
        ("circle", [[1, 1], [2, 2]], ""),
        ("length", [[1, 1]], ""),
        ("length", [[1, 1], [1, 1.2]], ""),
        ("length", [[1, 1], [201, 1]], ""),
        ("length", [[1, 1], [float("nan"), 1]], ""),
        ("arrow", [[1, 1], [9, 9]], " "),
        ("arrow", [[1, 1], [9, 9]], "x" * 201),
        ("rectangle", [[10, 10.6], [10.4, 11.4]], ""),
    ],
)
def test_what_is_no_mark_of_this_image_is_refused(add, kind, points, text):
    with pytest.raises(CodedError) as refused:
        add(kind, points, text=text)
    assert refused.value.code == "invalid"
    assert not ImageMark.objects.exists()


def test_an_image_that_is_missing_from_storage_gives_no_values(site, owner):
    scan = factories.ScanFactory(site=site)
    with pytest.raises(CodedError) as refused:
        mark_add(scan=scan, actor=owner, kind="probe", points=[[1, 1]])
    assert refused.value.code == "unavailable"


def test_change_and_deletion_are_versions_that_name_who_made_them(add, scan, owner, teammate):
    first = add("length", [[0, 0], [30, 0]])
    second = mark_change(mark=first, actor=teammate, points=[[0, 0], [40, 0]], text="node")
    assert list(marks_of(scan)) == [second]
    assert (second.values, second.signed_as, second.supersedes) == ({"px": 40.0}, "teammate", first)
    last = mark_delete(mark=second, actor=owner)
    assert not marks_of(scan).exists()
    assert list(mark_versions(scan)) == [first, second, last]
    actions = AuditEvent.objects.filter(action__startswith="mark.").values_list("action", flat=True)
    assert sorted(actions) == ["mark.added", "mark.changed", "mark.deleted"]


def test_a_version_is_superseded_once(add, owner):
    first = add("length", [[0, 0], [30, 0]])
    last = mark_delete(mark=mark_change(mark=first, actor=owner, points=[[0, 0], [40, 0]]), actor=owner)
    for stale in (first, last):
        with pytest.raises(CodedError) as refused:
            mark_delete(mark=stale, actor=owner)
        assert refused.value.code == "conflict"


def test_the_database_refuses_to_change_or_remove_a_version(add):
    mark = add("length", [[0, 0], [30, 0]])
    rows = ImageMark.objects.filter(pk=mark.pk)
    for act in (lambda: rows.update(text="x"), lambda: rows._raw_delete("default")):
        with pytest.raises(DatabaseError), transaction.atomic():
            act()


def test_whoever_may_not_label_at_the_site_saves_nothing(scan, outsider):
    with pytest.raises(CodedError) as refused:
        mark_add(scan=scan, actor=outsider, kind="length", points=[[0, 0], [30, 0]])
    assert refused.value.code == "forbidden"
