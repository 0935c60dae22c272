"""How long an upload takes to its result while a full-size training goes on on the same machine, and without.

`python benchmarks/upload_while_training.py` starts an instance of its own with the shipped models, measures,
starts a training of a ResNet-50 on made-up images, measures again, and ends it. Prints one JSON object, in
seconds.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image
from upload_to_result import ROOT, Client, Timing, distinct, own_instance, phantom, summary

PASSWORD = "measured-by-the-benchmark"  # noqa: S105 - of an instance that ends with this program
PATIENTS, SIDE = 40, 256
PATIENCE = 300.0


def collection(folder: Path) -> Path:
    """Noise with a bright patch on the left or on the right: something to learn, nobody's image."""
    folder.mkdir()
    with (folder / "manifest.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["image", "finding", "patient"])
        for number in range(PATIENTS):
            grey = np.random.default_rng(number).integers(0, 120, (SIDE, SIDE), dtype=np.uint8)
            finding = ("left", "right")[number % 2]
            column = 30 if finding == "left" else 150
            grey[70:180, column : column + 80] += 120
            Image.fromarray(grey).save(folder / f"{number}.png")
            table.writerow([f"{number}.png", finding, f"p{number}"])
    return folder / "manifest.csv"


def start_training(manifest: Path, size: int) -> object:
    """Queue it as an admin, and wait until it learns."""
    from webapp.accounts.models import Site, User
    from webapp.training.services import training_start

    run = training_start(
        site=Site.objects.get(slug="demo"),
        actor=User.objects.get(username="admin"),
        manifest=str(manifest),
        config={
            "size": size,
            "epochs": 500,
            "epoch_images": 64,
            "batch": 16,
            "progressive": False,
            "shortcuts": 0,
        },
    )
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        run.refresh_from_db()
        if run.progress.get("train"):
            time.sleep(5)  # the first steps
            return run
        if run.finished:
            raise SystemExit(f"the training ended as {run.status} {run.error_code}")
        time.sleep(1)
    raise SystemExit("the training did not begin to learn in time")


def measure(client: Client, source: Path, count: int, name: str) -> list[Timing]:
    return [client.time_one(distinct(source, n), f"{name}-{n}.png") for n in range(count)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=15)
    parser.add_argument("--size", type=int, default=224, help="side of the training's images")
    arguments = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    with tempfile.TemporaryDirectory() as scratch:
        data = Path(scratch) / "data"
        data.mkdir()
        source, manifest = phantom(Path(scratch)), collection(Path(scratch) / "images")
        with own_instance(data, PASSWORD) as url:
            os.environ |= {"HILUM_DATA": str(data), "DJANGO_SETTINGS_MODULE": "webapp.settings"}
            os.environ.setdefault("HILUM_ENV", "demo")
            import django

            django.setup()
            client = Client(url)
            client.sign_in("clinician", PASSWORD)
            measure(client, source, 2, "warm-up")
            without = measure(client, source, arguments.count, "without")
            run = start_training(manifest, arguments.size)
            during = measure(client, source, arguments.count, "during")
            run.refresh_from_db()
            report(without, during, run)


def report(without: list[Timing], during: list[Timing], run: object) -> None:
    found = {
        "without_training": summary([timing.visible for timing in without]),
        "during_training": summary([timing.visible for timing in during]),
        "results": sum(timing.ok for timing in (*without, *during)),
        "uploads": len(without) + len(during),
        "training": {"status": run.status, **run.progress},
        "load_average": [round(value, 1) for value in os.getloadavg()],
    }
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
