"""How long the requests of a list page and of a client loop take on many scans, and what queries they make.

`python benchmarks/api.py` fills a database of its own (SQLite in a temporary folder; `DATABASE_URL` names
another, empty one) and asks the site in this process, without a network. Prints one JSON object: for each
request the queries, and the median and p95 in milliseconds, of wall time and of processor time, which other
programs lengthen less: this process' own and, on Linux, that of a PostgreSQL on the same machine for it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BATCH = 10_000
KINDS = {f"0000000{n}": kind for n, kind in enumerate(("patient", "study", "series", "scan", "analysis"), 1)}
START = datetime(2026, 1, 1, tzinfo=UTC)
LIMIT_MS = 50.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scans", type=int, default=100_000)
    parser.add_argument("--repeat", type=int, default=100)
    parser.add_argument("--data", type=Path, help="keep the filled folder here, or use one filled before")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = asked.data or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        token = prepare(folder, asked.scans)
        report(token, asked.repeat)


def prepare(folder: Path, scans: int) -> str:
    """Django on a filled database; returns a token of its site."""
    os.environ |= {"HILUM_DATA": str(folder), "HILUM_ENV": "test", "HILUM_API_RATE": "0"}
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webapp.settings")
    sys.path.insert(0, str(ROOT))
    import django

    django.setup()
    from django.conf import settings
    from django.core.management import call_command

    settings.ALLOWED_HOSTS = ["testserver"]
    call_command("migrate", verbosity=0)
    from webapp.accounts.models import Role, Site, User
    from webapp.accounts.services import membership_set, token_create
    from webapp.scans.models import Scan

    site, new = Site.objects.get_or_create(slug="bench", defaults={"name": "Bench"})
    user, _ = User.objects.get_or_create(username="bench")
    membership_set(user=user, site=site, role=Role.objects.get(name="admin"))
    if new:
        fill(site, user, scans)
        label_and_register(site, user)
        analyse()
    assert Scan.objects.count() >= scans
    scopes = ("scan.view", "scan.upload", "scan.label", "model.view", "audit.view")
    return token_create(user=user, site=site, name="bench", scopes=scopes)[1]


def fill(site, user, scans: int) -> None:
    """Create scans with results, each of its own patient: copies of one case."""
    from django.db import connection, transaction

    with transaction.atomic(), connection.cursor() as cursor:
        for row in one_case(site, user):
            table, key = row._meta.db_table, row._meta.pk.column
            cursor.execute(f"SELECT * FROM {table} WHERE {key} = %s", [database_key(row.pk)])  # noqa: S608
            columns, values = [column[0] for column in cursor.description], cursor.fetchone()
            holes = ", ".join(["%s"] * len(columns))
            insert = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({holes})"  # noqa: S608
            template = dict(zip(columns, values, strict=True))
            for first in range(1, scans, BATCH):
                some = range(first, min(first + BATCH, scans))
                cursor.executemany(insert, [tuple((template | changed(template, n)).values()) for n in some])


def label_and_register(site, user) -> None:
    """A page of labels and of model versions, and one row beyond it."""
    from tests import factories as made
    from webapp.scans.models import Scan

    for scan in Scan.objects.order_by("pk")[:51]:
        made.LabelFactory(scan=scan, reader=user, source="reader", queue=None)
    for _ in range(51):
        made.ModelVersionFactory(site=site, status="retired")


def one_case(site, user) -> list:
    """A whole case of number 0, its rows in the order in which they refer to each other."""
    from tests import factories as made
    from webapp.analysis.models import AnalysisCam, StudySummary

    patient = made.PatientFactory(id=key_of("patient", 0), site=site, patient_id="P000000")
    study = made.StudyFactory(id=key_of("study", 0), patient=patient)
    series = made.SeriesFactory(id=key_of("series", 0), study=study)
    upload = made.UploadFactory(id=key_of("scan", 0), site=site, user=user, status="done")
    scan = made.ScanFactory(id=upload.id, upload=upload, site=site, series=series)
    result = {"status": "done", "finding": "pneumonia", "probabilities": {"pneumonia": 0.8, "normal": 0.2}}
    analysis = made.AnalysisFactory(id=key_of("analysis", 0), scan=scan, uncertainty=0.5, **result)
    cam = AnalysisCam.objects.create(analysis=analysis, cam=made.cam().as_dict())
    shown = {"status": "done", "finding": "pneumonia", "probability": 0.8, "scans": 1, "worst_scan": scan}
    shown |= {"latest_at": scan.received_at, "study_at": study.study_at}
    summary = StudySummary.objects.create(study=study, site=site, **shown)
    return [patient, study, series, upload, scan, analysis, cam, summary]


def changed(template: dict, n: int) -> dict:
    """The columns of copy `n` that differ from the case: keys, what must be unique, and moments."""
    at = (START + timedelta(minutes=n)).strftime("%Y-%m-%d %H:%M:%S")
    given = {name: at for name in ("created_at", "received_at", "study_at", "latest_at") if name in template}
    for name, value in template.items():
        kind = KINDS.get(str(value).replace("-", "")[:8])
        if kind and str(value).replace("-", "").endswith("0" * 24):
            given[name] = key_of(kind, n).hex
    unique = {"patient_id": f"P{n:06}", "sha256": f"{n:064x}", "study_instance_uid": f"1.2.{n}"}
    unique |= {"sop_instance_uid": f"1.4.{n}", "pixel_sha256": f"{n:064x}", "name": f"DOE^J{n}"}
    unique |= {"who": f"|P{n:06}|DOE|J{n}|"}
    return {name: value for name, value in unique.items() if name in template and name not in given} | given


def key_of(kind: str, n: int) -> uuid.UUID:
    prefix = next(prefix for prefix, named in KINDS.items() if named == kind)
    return uuid.UUID(f"{prefix}{n:024x}")


def database_key(key: uuid.UUID) -> object:
    from django.db import connection

    return key if connection.features.has_native_uuid_field else key.hex


def analyse() -> None:
    """What autovacuum does on PostgreSQL after a while."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE" if connection.vendor == "postgresql" else "ANALYZE")


def report(token: str, repeat: int) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    from webapp.core.http.warm import warm

    found = {"scans_in_it": count_scans(), "database": connection.vendor}
    requests = requests_of(token)
    warm()  # as the web server does
    for name, ask in requests.items():
        ask()
        with CaptureQueriesContext(connection) as context:
            ask()
        found[name] = {"queries": len(context)} | timings(ask, repeat)
    for kind in ("wall", "processor"):
        found[f"{kind}_within_limit"] = all(found[name][f"{kind}_ms"]["p95"] < LIMIT_MS for name in requests)
    found["load_average"] = [round(value, 1) for value in os.getloadavg()]
    print(json.dumps(found, indent=2))


def requests_of(token: str) -> dict[str, Callable[[], None]]:
    """A list page's requests and a client loop's, by name."""
    from django.test import Client

    from webapp.scans.models import Scan, Study

    client = Client(headers={"authorization": f"Bearer {token}"})
    scan = Scan.objects.order_by("received_at")[500]
    study = Study.objects.get(pk=scan.series.study_id)
    ids = [str(key) for key in Scan.objects.order_by("-received_at").values_list("pk", flat=True)[:200]]
    analysis = scan.analyses.get()
    deep = f"{int((START + timedelta(minutes=5000)).timestamp() * 1_000_000)}-{uuid.UUID(int=0).hex}"

    def get(path: str) -> Callable[[], None]:
        return lambda: check(client.get(f"/api/v1/{path}"))

    def post(path: str, body: dict) -> Callable[[], None]:
        return lambda: check(client.post(f"/api/v1/{path}", body, "application/json"))

    return {
        "scans": get("scans/"),
        "scans, a deep page": get(f"scans/?cursor={deep}"),
        "scans of a day": get(
            "scans/?received_after=2026-02-01T00:00:00Z&received_before=2026-02-02T00:00:00Z"
        ),
        "scans of a patient": get(f"scans/?patient_uuid={study.patient_id}"),
        "studies": get("studies/"),
        "studies, done": get("studies/?status=done"),
        "studies, a finding": get("studies/?finding=pneumonia"),
        "studies by patient": post("studies/search/", {"q": "P000500"}),
        "patients": get("patients/"),
        "patients by identifier": post("patients/search/", {"q": "P000500"}),
        "analyses": get("analyses/"),
        "uploads": get("uploads/"),
        "labels": get("labels/"),
        "models": get("models/"),
        "audit events": get("audit-events/"),
        "states of 200 uploads": post("uploads/states/", {"ids": ids}),
        "one scan with its map": get(f"scans/{scan.pk}/"),
        "history": get(f"patients/{study.patient_id}/history/"),
        "one analysis' map": get(f"analyses/{analysis.pk}/cam/"),
        "an upload": upload_once(client),
        "me": get("me/"),
    }


def upload_once(client) -> Callable[[], None]:
    """New small files, until they are stored; workers process them later."""
    from django.core.files.uploadedfile import SimpleUploadedFile

    def ask() -> None:
        file = SimpleUploadedFile("chest.png", b"\x89PNG\r\n\x1a\n" + os.urandom(100_000), "image/png")
        check(client.post("/api/v1/scans/", {"file": file, "patient_id": "P000500"}), status=201)

    return ask


def check(response, status: int = 200) -> None:
    assert response.status_code == status, (response.status_code, response.content[:200])


def timings(ask: Callable[[], None], repeat: int) -> dict[str, dict[str, float]]:
    wall, spent = [], []
    worked = clock()
    for _ in range(repeat):
        began, before = time.perf_counter(), worked()
        ask()
        wall.append(1000 * (time.perf_counter() - began))
        spent.append(1000 * (worked() - before))
    return {"wall_ms": summary(wall), "processor_ms": summary(spent)}


def clock() -> Callable[[], float]:
    """Seconds of processor time of this process and, where it can be read, of the database's for it."""
    from django.db import connection

    if connection.vendor != "postgresql":
        return time.process_time
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        schedstat = Path(f"/proc/{cursor.fetchone()[0]}/schedstat")
    if not schedstat.exists():
        return time.process_time
    return lambda: time.process_time() + int(schedstat.read_text().split()[0]) / 1e9


def summary(values: list[float]) -> dict[str, float]:
    p95 = statistics.quantiles(values, n=20)[-1]
    return {"median": round(statistics.median(values), 1), "p95": round(p95, 1)}


def count_scans() -> int:
    from webapp.scans.models import Scan

    return Scan.objects.count()


if __name__ == "__main__":
    main()
