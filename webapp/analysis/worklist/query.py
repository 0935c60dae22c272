"""Reading the worklist: which studies, in which order, how many, and the neighbours of one."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.core.cache import cache
from django.db import connection
from django.db.models import Q, QuerySet
from django.db.models.functions import Coalesce

from webapp.accounts.models import Site, User
from webapp.accounts.services import for_sites
from webapp.analysis.models import StudySummary, StudyTag
from webapp.analysis.worklist.search_text import matches
from webapp.core.errors import CodedError

PAGE_SIZE = 50
COUNTED_AT_MOST = 10_000
BEYOND_CAP_SECONDS = 60
ORDERS = {
    "newest": "-latest_at",
    "oldest": "latest_at",
    "worst": "-severity",
    "unsure": "-uncertainty",
    "study": "-study_at",
    "study_oldest": "study_at",
    "waiting": "turn",
}
OCCURRING = ("finding", "modality")
STUDY_COLUMNS = (
    "patient",
    "study_date",
    "study_time",
    "date_is_relative",
    "accession_number",
    "study_instance_uid",
)
PATIENT_COLUMNS = ("patient_id", "name", "provisional")
USER_COLUMNS = ("username", "first_name", "last_name")
UPLOAD_COLUMNS = ("filename", "size")


@dataclass(frozen=True)
class Filters:
    """What is asked of the worklist; whatever is left at its default asks nothing.

    `search` is by patient or accession number. `probability` and `uncertainty` are (from, below), None where
    open. `reader` and `assigned` are a user's key, or `anybody` or `nobody`. `arrived` is the
    earliest arrival, `studied` is (from, before).
    """

    search: str = ""
    status: str = ""
    finding: str = ""
    modality: str = ""
    probability: tuple[float | None, float | None] = (None, None)
    uncertainty: tuple[float | None, float | None] = (None, None)
    reader: str | uuid.UUID = ""
    urgent: bool = False
    assigned: str | uuid.UUID = ""
    tag: str = ""
    arrived: datetime | None = None
    studied: tuple[datetime | None, datetime | None] = (None, None)
    marked_by: User | None = None


@dataclass(frozen=True)
class WorklistPage:
    """Rows of the worklist. `after` fetches the next page, None on the last; `before` the previous one, None
    on the first; `total` stops at the cap.
    """

    rows: Sequence[StudySummary]
    after: str | None
    total: int
    before: str | None = None

    @property
    def total_is_capped(self) -> bool:
        return self.total > COUNTED_AT_MOST


def worklist(
    *, user: User, site: Site | None = None, filters: Filters | None = None, order: str = "newest"
) -> QuerySet[StudySummary]:
    """The studies that the user may see and asks for; `site` None: at all their sites."""
    return narrowed(visible(user, site), filters or Filters(), order)


def visible(user: User, site: Site | None = None) -> QuerySet[StudySummary]:
    rows = for_sites(StudySummary.objects.all(), user, "scan.view")
    return rows.filter(site=site) if site else rows


def narrowed(rows: QuerySet[StudySummary], filters: Filters, order: str) -> QuerySet[StudySummary]:
    """The matching rows, in order; `unsure` leaves out what has no result, hence no uncertainty.

    With a filter on study dates, newest and oldest go by study date, for which there is an index.
    """
    rows = _filtered(rows, filters)
    key = ORDERS[order]
    if any(filters.studied):
        key = key.replace("latest_at", "study_at")
    if order == "unsure":
        rows = rows.filter(uncertainty__isnull=False)
    return rows.order_by(key, "-study_id" if key.startswith("-") else "study_id")


def _filtered(rows: QuerySet[StudySummary], asked: Filters) -> QuerySet[StudySummary]:
    same = {name: value for name in ("status", "finding", "modality") if (value := getattr(asked, name))}
    rows = rows.filter(**same)
    spans = {"probability": asked.probability, "uncertainty": asked.uncertainty, "study_at": asked.studied}
    for name, (first, below) in spans.items():
        bounds = {f"{name}__gte": first, f"{name}__lt": below}
        rows = rows.filter(**{bound: value for bound, value in bounds.items() if value is not None})
    for name in ("reader", "assigned"):
        person = getattr(asked, name)
        if person in ("anybody", "nobody"):
            rows = rows.filter(**{f"{name}__isnull": person == "nobody"})
        elif person:
            rows = rows.filter(**{name: person})
    if asked.urgent:
        rows = rows.exclude(urgent="")
    if asked.tag:
        rows = rows.filter(study__in=StudyTag.objects.filter(name=asked.tag).values("study"))
    if asked.arrived:
        rows = rows.filter(latest_at__gte=asked.arrived)
    if asked.marked_by:
        rows = rows.filter(study__in=asked.marked_by.marks.values("study"))
    if search := asked.search.strip():
        rows = rows.filter(matches(search))
    return rows


def worklist_page(
    rows: QuerySet[StudySummary],
    *,
    after: str | None = None,
    before: str | None = None,
    size: int = PAGE_SIZE,
    searched: bool = False,
) -> WorklistPage:
    """One page by the study that the last one ended with, so that a deep page costs what the first does.

    `before`: the page that ends just above this study; less than a page of it is the first page. `searched`:
    the rows are those of a search by patient. Raises CodedError `invalid` for a mark that is not ours.
    """
    total = count(rows)
    apart = searched and total <= COUNTED_AT_MOST
    if before:
        above = _from(rows, before, back=True)
        above = (_sorted_apart(above) if apart else above).reverse()
        keys = list(above.values_list("pk", flat=True)[: size + 1])
        if len(keys) >= size:
            shown = _shown(keys[:size][::-1])
            more = str(keys[size - 1]) if len(keys) > size else None
            return WorklistPage(rows=shown, after=str(keys[0]), total=total, before=more)
        after = None
    rest = _from(rows, after)
    if apart:
        rest = _sorted_apart(rest)
    # The keys first: what a row shows is joined to one page of rows, never to all that match.
    keys = list(rest.values_list("pk", flat=True)[: size + 1])
    return WorklistPage(
        rows=_shown(keys[:size]),
        after=str(keys[size - 1]) if len(keys) > size else None,
        total=total,
        before=str(keys[0]) if after and keys else None,
    )


def _shown(keys: Sequence[uuid.UUID]) -> list[StudySummary]:
    found = whole(StudySummary.objects.filter(pk__in=keys)).in_bulk()
    return [found[key] for key in keys if key in found]


def _sorted_apart(rows: QuerySet[StudySummary]) -> QuerySet[StudySummary]:
    """The same rows in order, but no index gives the order: the matches are found first, then sorted.

    The planner does not expect a patient's studies to be close in time, and would scan the index of arrivals.
    """
    order, second = rows.query.order_by
    value = Coalesce(order.removeprefix("-"), order.removeprefix("-"))
    return rows.order_by(value.desc() if order.startswith("-") else value.asc(), second)


def whole(rows: QuerySet[StudySummary]) -> QuerySet[StudySummary]:
    """The rows with what is shown of study, patient, worst scan and reader, and no more."""
    return rows.select_related("study__patient", "site", "worst_scan__upload", "reader", "assigned").only(
        *(field.attname for field in StudySummary._meta.concrete_fields),
        *(f"study__{field}" for field in STUDY_COLUMNS),
        *(f"study__patient__{field}" for field in PATIENT_COLUMNS),
        "site__name",
        "worst_scan__view_position",
        *(f"worst_scan__upload__{field}" for field in UPLOAD_COLUMNS),
        *(f"{who}__{field}" for who in ("reader", "assigned") for field in USER_COLUMNS),
    )


def count(rows: QuerySet[StudySummary]) -> int:
    """How many rows there are, counted to one above the cap."""
    return rows.order_by()[: COUNTED_AT_MOST + 1].count()


def count_of_all(rows: QuerySet[StudySummary], *, whose: str) -> int:
    """`count` of all that somebody may see; that they are beyond the cap is remembered for a minute."""
    key = f"worklist-beyond-cap:{whose}"
    if cache.get(key):
        return COUNTED_AT_MOST + 1
    number = count(rows)
    if number > COUNTED_AT_MOST:
        cache.set(key, True, BEYOND_CAP_SECONDS)
    return number


def neighbours(
    rows: QuerySet[StudySummary], here: StudySummary, *, searched: bool = False
) -> tuple[StudySummary | None, StudySummary | None]:
    """The studies just above and below one in a list of `worklist`, two indexed look-ups.

    `searched`: as in `worklist_page`.
    """
    above, below = _neighbours_of(rows, here, back=True), _neighbours_of(rows, here)
    if searched and count(rows) <= COUNTED_AT_MOST:
        above, below = _sorted_apart(above), _sorted_apart(below)
    return above.reverse().first(), below.first()


def occurring(column: str, sites: Iterable[Site]) -> list[str]:
    """The values of `finding` or `modality` that occur at these sites, for a filter; a query a site.

    The index is asked for the next value after each, so that it costs what the values are, not the rows.
    """
    if column not in OCCURRING:
        raise ValueError(column)
    table = StudySummary._meta.db_table
    least = f"SELECT MIN({column}) FROM {table} WHERE site_id = %s AND {column} >"  # noqa: S608 (our names)
    walk = f"""
        WITH RECURSIVE found(value) AS (
            SELECT ({least} '')
            UNION ALL SELECT ({least} found.value) FROM found WHERE found.value IS NOT NULL
        )
        SELECT value FROM found WHERE value IS NOT NULL
    """  # noqa: S608
    values: set[str] = set()
    with connection.cursor() as cursor:
        for site in sites:
            key = Site._meta.pk.get_db_prep_value(site.pk, connection)
            cursor.execute(walk, [key, key])
            values |= {value for (value,) in cursor.fetchall()}
    return sorted(values)


def unread_count(site: Site, most: int) -> int:
    """How many of the site's studies are unread, counted to `most`."""
    return StudySummary.objects.filter(site=site, reader=None).order_by()[:most].count()


def _from(rows: QuerySet[StudySummary], mark: str | None, *, back: bool = False) -> QuerySet[StudySummary]:
    """The rows after the study `mark`, or before it."""
    if not mark:
        return rows
    try:
        key = uuid.UUID(mark)
    except ValueError as error:
        raise CodedError("invalid") from error
    here = StudySummary.objects.filter(pk=key).first()
    # If the study is gone, the list starts again.
    if here is None:
        return rows.none() if back else rows
    return _neighbours_of(rows, here, back=back)


def _neighbours_of(
    rows: QuerySet[StudySummary], here: StudySummary, *, back: bool = False
) -> QuerySet[StudySummary]:
    order = rows.query.order_by[0]
    field = order.removeprefix("-")
    value = getattr(here, field)
    if value is None:
        return rows.none()
    towards = "lt" if order.startswith("-") != back else "gt"
    # The plain bound is there for the index to follow.
    return rows.filter(
        Q(**{f"{field}__{towards}": value}) | Q(**{f"study_id__{towards}": here.pk}),
        **{f"{field}__{towards}e": value},
    )
