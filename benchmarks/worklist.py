"""Latency of worklist, filters, search and patient page on PostgreSQL with a million made-up scans.

`DATABASE_URL=postgres://... python benchmarks/worklist.py --scans 1000000` fills the database, which has to
be empty or filled by an earlier run of the same size, and prints one JSON object: for each request its
median and 95th percentile in milliseconds as Django renders it, and the number of its queries. `busy` is the
time that a processor worked for it, in Python and in its database session: about what it takes on a machine
that does nothing else (Linux, database on the same host). `--fill-only` stops before the requests.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("HILUM_ENV", "test")
os.environ.setdefault("HILUM_DATA", tempfile.mkdtemp(prefix="hilum-benchmark-"))
os.environ.setdefault("HILUM_LOG_LEVEL", "WARNING")
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webapp.settings")

SITE, OTHER_SITE = "benchmark", "benchmark-two"
WARM_UP, ROUNDS = 3, 20
LIMIT_MS = 100

# Every second scan is a study's second or a patient's second study, so that patients have a history. Family
# names are as unevenly spread as real ones; a tenth of all lies at another site.
FILL = """
CREATE TEMP TABLE b AS SELECT i, i / 2 AS s, i / 4 AS p, random() AS r, random() AS q,
    now() - (i::float8 / %(n)s) * interval '700 days' AS at FROM generate_series(0, %(n)s - 1) i;
CREATE TEMP TABLE syllable AS SELECT row_number() OVER () - 1 AS k, a || c AS word
    FROM unnest(ARRAY['Ba','Be','Da','Do','Fe','Ga','Ha','He','Jo','Ka','Li','Ma','Mo','Na','Pe','Ra','Sa','Se','To','Wa']) a,
         unnest(ARRAY['ber','dan','gar','ker','lin','mann','nes','ra','son','vic']) c;
CREATE TEMP TABLE person AS SELECT p, floor(200 * power(random(), 2.5))::int AS family, floor(200 * random())::int AS part,
    floor(200 * power(random(), 1.5))::int AS given, random() AS r FROM generate_series(0, (%(n)s - 1) / 4) p;
INSERT INTO scans_patient (id, created_at, site_id, patient_id, issuer, name, search_name, sex, birth_date, provisional)
    SELECT md5('patient' || p)::uuid, now(), CASE WHEN p %% 10 = 9 THEN %(other)s ELSE %(site)s END::uuid,
        'P' || lpad(p::text, 8, '0'), '', upper(f.word || CASE WHEN person.r < 0.6 THEN g.word ELSE '' END) || '^' || h.word,
        '|' || lower(f.word || CASE WHEN person.r < 0.6 THEN g.word ELSE '' END) || '|' || lower(h.word) || '|',
        CASE WHEN person.r < 0.5 THEN 'F' ELSE 'M' END, date '1930-01-01' + (person.r * 30000)::int, false
    FROM person JOIN syllable f ON f.k = family JOIN syllable g ON g.k = part JOIN syllable h ON h.k = given;
INSERT INTO scans_study (id, created_at, site_id, patient_id, study_instance_uid, accession_number, study_date,
        study_time, study_at, description)
    SELECT md5('study' || s)::uuid, at, CASE WHEN p %% 10 = 9 THEN %(other)s ELSE %(site)s END::uuid,
        md5('patient' || p)::uuid, '1.2.826.0.1.' || s, 'A' || lpad(s::text, 9, '0'), at::date, at::time, at, ''
    FROM b WHERE i %% 2 = 0;
INSERT INTO scans_series (id, created_at, study_id, series_instance_uid, modality)
    SELECT md5('series' || s)::uuid, at, md5('study' || s)::uuid, '1.2.826.0.2.' || s,
        CASE WHEN r < 0.7 THEN 'DX' WHEN r < 0.99 THEN 'CR' ELSE 'CT' END FROM b WHERE i %% 2 = 0;
INSERT INTO scans_upload (id, created_at, status, site_id, user_id, sha256, size, filename, stored_name, stored_sha256,
        stated_patient_id, stated_study, stated_modality, refusal, refusal_detail, attempts, error_code)
    SELECT md5('scan' || i)::uuid, at, 'done', CASE WHEN p %% 10 = 9 THEN %(other)s ELSE %(site)s END::uuid, %(user)s,
        md5('a' || i) || md5('b' || i), 1000, 'chest.dcm', '', '', '', '', '', '', '', 1, '' FROM b;
INSERT INTO scans_scan (id, created_at, site_id, upload_id, series_id, sop_instance_uid, slot, synthetic, polarity_turned,
        rows, columns, slope, intercept, window_center, window_width, display_name, display_sha256, working_name,
        working_sha256, preview_name, preview_sha256, pixel_sha256, view_position, metadata, notes, acquired_at, received_at)
    SELECT md5('scan' || i)::uuid, at, CASE WHEN p %% 10 = 9 THEN %(other)s ELSE %(site)s END::uuid, md5('scan' || i)::uuid,
        md5('series' || s)::uuid, '1.2.826.0.3.' || i, 'cxr', true, false, 512, 512, 1, 0, 2048, 4096, '', '', '', '', '', '',
        md5('a' || i) || md5('c' || i), CASE WHEN r < 0.6 THEN 'PA' ELSE 'AP' END, '{}', '{}', at, at FROM b;
INSERT INTO analysis_analysis (id, created_at, status, scan_id, model_version_id, finding, uncertainty, probabilities,
        abstention, withheld, seconds, attempts, error_code, finished_at)
    SELECT md5('analysis' || i)::uuid, at, 'done', md5('scan' || i)::uuid, %(model)s,
        CASE WHEN r < 0.25 THEN 'pneumonia' WHEN r < 0.28 THEN 'covid19' WHEN r < 0.9 THEN 'normal' ELSE '' END,
        q * q, json_build_object('pneumonia', r, 'covid19', 0.1, 'normal', 1 - r)::jsonb, '', false, 0.1, 1, '', at FROM b;
INSERT INTO analysis_studysummary (study_id, site_id, status, finding, probability, uncertainty, reason, scans, synthetic,
        worst_scan_id, severity, modality, reader_id, read_at, study_at, latest_at,
        who, number)
    SELECT md5('study' || s)::uuid, CASE WHEN p %% 10 = 9 THEN %(other)s ELSE %(site)s END::uuid, status,
        CASE WHEN status <> 'done' THEN '' ELSE finding END, CASE WHEN status <> 'done' THEN NULL ELSE p_of END,
        CASE WHEN status <> 'done' THEN NULL ELSE q * q END,
        CASE status WHEN 'failed' THEN 'out_of_memory' WHEN 'abstained' THEN 'lateral_view'
            WHEN 'waiting' THEN 'no_model_for_modality' ELSE '' END, 2, true, md5('scan' || i)::uuid,
        CASE WHEN status <> 'done' THEN -1 WHEN finding = 'normal' THEN 1 - p_of WHEN finding = '' THEN 1 + p_of
            ELSE 2 + p_of END,
        CASE WHEN r < 0.7 THEN 'DX' WHEN r < 0.99 THEN 'CR' ELSE 'CT' END,
        CASE WHEN i > %(n)s * 0.02 AND q < 0.9 THEN CASE WHEN r < 0.5 THEN %(user)s ELSE %(second)s END END,
        CASE WHEN i > %(n)s * 0.02 AND q < 0.9 THEN at END, at, at,
        '|' || patient_id || '|' || replace(name, '^', '|') || '|', 'A' || lpad(s::text, 9, '0')
    FROM (SELECT b.*, 0.5 + abs(q - 0.5) AS p_of,
            CASE WHEN i < 200 THEN 'analysing' WHEN q < 0.001 THEN 'failed' WHEN q < 0.002 THEN 'waiting'
                WHEN q < 0.06 THEN 'abstained' ELSE 'done' END AS status,
            CASE WHEN r < 0.25 THEN 'pneumonia' WHEN r < 0.28 THEN 'covid19' WHEN r < 0.9 THEN 'normal' ELSE '' END
                AS finding
          FROM b WHERE i %% 2 = 0) made JOIN scans_patient ON scans_patient.id = md5('patient' || p)::uuid;
UPDATE analysis_studysummary SET assigned_id = CASE WHEN n < 3 THEN %(user)s ELSE %(second)s END
    FROM (SELECT study_id AS key, ('x' || substr(md5('assigned' || study_id), 1, 4))::bit(16)::int %% 100 AS n
          FROM analysis_studysummary) made WHERE study_id = key AND n < 5;
UPDATE analysis_studysummary SET urgent = CASE WHEN n < 3 THEN 'rule' WHEN n < 4 THEN 'dicom' ELSE 'hand' END
    FROM (SELECT study_id AS key, ('x' || substr(md5('urgent' || study_id), 1, 4))::bit(16)::int %% 200 AS n
          FROM analysis_studysummary) made WHERE study_id = key AND n < 5;
UPDATE analysis_studysummary SET turn = extract(epoch FROM latest_at)
    + CASE WHEN reader_id IS NOT NULL THEN %(read)s WHEN urgent = '' THEN %(unread)s ELSE 0 END;
INSERT INTO analysis_studytag (id, created_at, study_id, name)
    SELECT md5('tag' || s || word)::uuid, at, md5('study' || s)::uuid, word
    FROM b, unnest(ARRAY['teaching', 'follow-up']) word
    WHERE i %% 2 = 0 AND s %% 100 = CASE word WHEN 'teaching' THEN 7 ELSE 9 END;
DROP TABLE b, person, syllable;
"""  # noqa: E501


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scans", type=int, default=1_000_000)
    parser.add_argument("--fill-only", action="store_true")
    asked = parser.parse_args()
    import django

    django.setup()
    from django.db import connection

    if connection.vendor != "postgresql":
        sys.exit("Set DATABASE_URL to a PostgreSQL database of its own.")
    began = time.perf_counter()
    user = filled(asked.scans)
    figures: dict[str, object] = {"scans": asked.scans, "fill_seconds": round(time.perf_counter() - began)}
    if not asked.fill_only:
        figures |= {"limit_ms": LIMIT_MS, "requests": measured(user)}
        for figure in ("p95_ms", "busy_p95_ms", "queries"):
            figures[f"most_{figure}"] = max(one[figure] for one in figures["requests"].values())
    print(json.dumps(figures, indent=2))


def filled(scans: int):
    """Migrate and fill an empty database; returns the reader. Exits if it is not empty."""
    from django.core.management import call_command
    from django.db import connection, transaction

    from tests.factories import ModelVersionFactory, SiteFactory
    from webapp.accounts.models import Role, Site, User
    from webapp.accounts.services import membership_set
    from webapp.analysis.worklist.urgency import READ_TIER, TIER
    from webapp.scans.models import Scan

    call_command("migrate", verbosity=0)
    if site := Site.objects.filter(slug=SITE).first():
        if Scan.objects.count() != scans:
            sys.exit("The database holds another number of scans: use an empty one.")
        return site.memberships.get(user__username="reader").user
    if Site.objects.exists():
        sys.exit("The database is in use: use an empty one.")
    with transaction.atomic(), connection.cursor() as cursor:
        site, other = SiteFactory(slug=SITE), SiteFactory(slug=OTHER_SITE)
        people = [User.objects.create_user(name) for name in ("reader", "second")]
        for person in people:
            membership_set(user=person, site=site, role=Role.objects.get(name="clinician"))
        membership_set(user=people[0], site=other, role=Role.objects.get(name="clinician"))
        keys = {"n": scans, "site": site.pk, "other": other.pk, "model": ModelVersionFactory().pk}
        keys |= {"user": people[0].pk, "second": people[1].pk, "read": READ_TIER * TIER, "unread": TIER}
        cursor.execute("SELECT setseed(0.5)")
        cursor.execute("SET LOCAL synchronous_commit TO off")
        for statement in FILL.split(";\n"):
            if statement.strip():
                cursor.execute(statement, keys)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    return people[0]


def measured(user) -> dict[str, dict[str, float]]:
    """The figures of `timed` for every request, by name."""
    from django.conf import settings
    from django.test import Client

    from webapp.core.http.warm import warm

    settings.ALLOWED_HOSTS = ["testserver"]
    warm()
    client, found = Client(), {}
    client.force_login(user)
    for name, (prepare, ask) in requests().items():
        client.post("/", {"clear": "1", "sort": "newest"} if prepare is None else prepare)
        found[name] = timed(lambda ask=ask: ask(client))
        print(f"{name:34} {found[name]}", file=sys.stderr)
    return found


def timed(ask: Callable) -> dict[str, float]:
    """One request many times over; exits if it fails."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        session = Path(f"/proc/{cursor.fetchone()[0]}/schedstat")
    walls, busy, in_database = [], [], []
    for turn in range(WARM_UP + ROUNDS):
        queries = Counter()
        began, python, database = time.perf_counter(), time.process_time(), worked(session)
        with connection.execute_wrapper(queries):
            response = ask()
        if response.status_code != 200:
            sys.exit(f"HTTP {response.status_code}")
        if turn >= WARM_UP:
            walls.append(1000 * (time.perf_counter() - began))
            in_database.append(1000 * (worked(session) - database))
            busy.append(in_database[-1] + 1000 * (time.process_time() - python))
    return {
        "p50_ms": round(statistics.median(walls), 1),
        "p95_ms": round(statistics.quantiles(walls, n=20)[-1], 1),
        "busy_p50_ms": round(statistics.median(busy), 1),
        "busy_p95_ms": round(statistics.quantiles(busy, n=20)[-1], 1),
        "of_which_database_p50_ms": round(statistics.median(in_database), 1),
        "queries": queries.number,
    }


def worked(session: Path) -> float:
    """Processor seconds of a process; 0 where the system does not report them."""
    try:
        return int(session.read_text().split()[0]) / 1e9
    except OSError:
        return 0.0


class Counter:
    """Counts the queries that pass through it."""

    number = 0

    def __call__(self, execute, *details):
        self.number += 1
        return execute(*details)


def by_one_filter() -> dict[str, dict[str, str] | None]:
    """The list as it is, then each filter and order alone."""
    from webapp.analysis.models import StudySummary
    from webapp.pages.display import UNCERTAINTIES
    from webapp.pages.worklist.search import PROBABILITIES, READERS, RECEIVED, SORTS

    columns = {
        "status": StudySummary.Status.values,
        "finding": ["pneumonia", "covid19", "normal"],
        "probability": PROBABILITIES,
        "uncertainty": UNCERTAINTIES,
        "modality": ["DX", "CT"],
        "received": RECEIVED,
        "reader": READERS,
        "marked": ["me"],
        "unread": ["1"],
        "urgent": ["1"],
        "assigned": ["me", "nobody"],
        "tag": ["teaching"],
        "sites": ["all"],
        "sort": SORTS,
    }
    alone = {f"{column} {value}": {column: value} for column, values in columns.items() for value in values}
    return {"worklist": None} | alone


def requests() -> dict[str, tuple[dict[str, str] | None, Callable]]:
    """Name to (what is posted as the search before, what is timed)."""
    from webapp.analysis.models import StudySummary
    from webapp.scans.models import Patient

    def page(client):
        return client.get("/")

    here = StudySummary.objects.filter(site__slug=SITE, status="done").order_by("-latest_at")
    deep = here[min(5000, here.count() // 2)]
    some = Patient.objects.filter(site__slug=SITE).order_by("pk")[100]
    family, given = some.name.split("^")
    asked = by_one_filter()
    asked |= {
        "study dates": {"studied_from": "2026-01-01", "studied_to": "2026-02-01"},
        "urgent first, unread, mine": {"sort": "waiting", "unread": "1", "assigned": "me"},
        "urgent and tagged": {"urgent": "1", "tag": "follow-up"},
        "rare together": {"status": "done", "finding": "covid19", "probability": "near", "reader": "nobody"},
        "name, rare": {"q": f"{family} {given}"},
        "name, family": {"q": family},
        "name, commonest": {"q": "BABER"},
        "name, three letters": {"q": "mow"},
        "name, two letters": {"q": "ba"},
        "name, one letter": {"q": "b"},
        "name, nobody": {"q": "zzyzx"},
        "identifier": {"q": some.patient_id},
        "identifier, beginning": {"q": some.patient_id[:6]},
        "accession number": {"q": "A000012344"},
        "name and filters": {"q": family, "status": "done", "finding": "pneumonia", "sort": "worst"},
        "name at all sites": {"q": family, "sites": "all"},
    }
    table = {name: (search, page) for name, search in asked.items()}
    table["next page, deep"] = (None, lambda client: client.get("/", {"after": str(deep.pk)}))
    table["rows polled"] = (None, lambda client: client.get("/worklist/rows/"))
    table["patient page"] = (None, lambda client: client.get(f"/patients/{some.pk}/"))
    table["scan page in a filtered list"] = (
        {"finding": "pneumonia", "sort": "worst"},
        lambda client: client.get(f"/scans/{deep.worst_scan_id}/"),
    )
    begun = some.patient_id[:6]
    found = StudySummary.objects.filter(site__slug=SITE, study__patient__patient_id__startswith=begun)
    last = found.exclude(worst_scan=None).earliest("latest_at")
    table["scan page, last of a search"] = (
        {"q": begun},
        lambda client: client.get(f"/scans/{last.worst_scan_id}/"),
    )
    return table


if __name__ == "__main__":
    main()
