"""Collections of phantoms: patients with dated studies, in which opacities appear, grow and resolve."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from tqdm import tqdm

from classifier.phantom import files
from classifier.phantom.opacities import OpacitySpec, draw_specs
from classifier.phantom.render import DEFAULT_SIZE, Phantom, acquire, prepare, render

NAMES = [
    *("ALPHA", "BRAVO", "CHARLIE", "DELTA", "ECHO", "FOXTROT", "GOLF", "HOTEL", "INDIA", "JULIETT"),
    *("KILO", "LIMA", "MIKE", "NOVEMBER", "OSCAR", "PAPA", "QUEBEC", "ROMEO", "SIERRA", "TANGO"),
    *("UNIFORM", "VICTOR", "WHISKEY", "XRAY", "YANKEE", "ZULU"),
]
COURSES = {  # relative size of the opacity at each study; 0: clear lungs
    "comes and goes": (0.0, 0.6, 1.0, 0.7, 0.0),
    "well": (0.0, 0.0, 0.0),
    "resolves": (1.0, 0.75, 0.0),
    "spreads": (0.0, 0.55, 0.8, 1.0),
    "once": (1.0,),
    "well once": (0.0,),
    "relapses": (0.9, 0.0, 0.0, 0.8),
    "stays well": (0.0, 0.0),
}
COLUMNS = [
    *("image", "finding", "patient", "source", "modality", "view", "sex", "age"),
    *("study_date", "offset_days", "opacities", "centres", "split"),
]
FIRST_DAY = datetime(2026, 1, 5, 8, 0)
TRAINING_SIZE = 256
SPLIT = ("train", "train", "train", "val", "train", "train", "train", "test", "train", "test")
DEFAULT_SEED = 6  # two women and two men, opacities in either lung
FORMATS = ("both", "dicom", "png")


@dataclass(frozen=True)
class Study:
    """One study: patient, date and opacities."""

    patient: int
    number: int
    taken: datetime
    offset_days: int
    birth_year: int
    anatomy: int
    specs: tuple[OpacitySpec, ...]

    @property
    def patient_id(self) -> str:
        return f"PHANTOM-{self.patient + 1:03d}"

    @property
    def patient_name(self) -> str:
        rounds, letter = divmod(self.patient, len(NAMES))
        return f"PHANTOM^{NAMES[letter]}" + (f"-{rounds + 1}" if rounds else "")


def write_collection(
    folder: Path,
    *,
    patients: int = 4,
    seed: int = DEFAULT_SEED,
    format: str = "both",
    size: int = DEFAULT_SIZE,
    progress: bool = False,
) -> Path:
    """Write images of `patients` patients and `manifest.csv`; returns its path.

    `format` "both" alternates DICOM and PNG. The manifest is usable for training and also has `study_date`
    (ISO 8601), the number of opacities and their `centres` as `x y radius` in pixels, separated by `|`.
    The same seed gives the same bytes. Raises ValueError for an unknown format or no patients.
    """
    if format not in FORMATS or patients < 1:
        raise ValueError(f"format must be one of {', '.join(FORMATS)}, patients at least 1")
    folder.mkdir(parents=True, exist_ok=True)
    studies = list(plan(patients, seed))
    bar = tqdm(studies, desc="phantoms", unit="img", disable=not progress)
    rendered = ((study, _render(study, seed, size)) for study in bar)
    rows = (_row(study, phantom, _write(folder, study, phantom, format)) for study, phantom in rendered)
    return _write_manifest(folder, rows)


def write_training_set(
    folder: Path,
    *,
    patients: int,
    seed: int,
    variants: int = 3,
    size: int = TRAINING_SIZE,
    progress: bool = False,
) -> Path:
    """Write small PNG files for training: each patient in one pose, once without and `variants` times with
    opacities.

    Findings hence differ by the opacities only. Seven in ten patients are in the training part. Returns the
    path of `manifest.csv`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    return _write_manifest(folder, _training_rows(folder, patients, seed, variants, size, progress))


def _training_rows(
    folder: Path, patients: int, seed: int, variants: int, size: int, progress: bool
) -> Iterator[dict[str, object]]:
    for patient in tqdm(range(patients), desc="patients", disable=not progress):
        number = seed * 1_000_003 + patient
        subject = prepare(number, size=size)
        study = Study(patient, 0, FIRST_DAY, 0, 1980, number, ())
        for shot in range(variants + 1):
            phantom = acquire(subject, opacities=min(shot, 1) + (shot % 3 == 2), shot=shot)
            image = f"{study.patient_id}_{shot}.png"
            files.write_png(folder / image, phantom)
            yield _row(study, phantom, image) | {"split": SPLIT[patient % len(SPLIT)]}


def _write_manifest(folder: Path, rows: Iterable[dict[str, object]]) -> Path:
    manifest = folder / "manifest.csv"
    with manifest.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        table.writeheader()
        for row in rows:
            table.writerow(row)
            file.flush()
    return manifest


def _render(study: Study, seed: int, size: int) -> Phantom:
    number = seed * 1_000_003 + study.patient * 16 + study.number
    return render(number, opacities=study.specs, size=size, anatomy=study.anatomy)


def plan(patients: int, seed: int) -> Iterator[Study]:
    """Studies of each patient in chronological order; the first patients get the COURSES in turn."""
    for patient in range(patients):
        rng = np.random.default_rng([0xC0115E, seed, patient])
        course = list(COURSES.values())[patient % len(COURSES)]
        specs = draw_specs(rng, int(rng.choice([1, 2, 3], p=[0.7, 0.2, 0.1])))
        taken = FIRST_DAY + timedelta(days=int(rng.integers(0, 200)), minutes=int(rng.integers(0, 600)))
        first, birth_year = taken, int(rng.integers(1936, 2006))
        for number, share in enumerate(course):
            yield Study(
                patient=patient,
                number=number,
                taken=taken,
                offset_days=(taken.date() - first.date()).days,
                birth_year=birth_year,
                anatomy=seed * 100_003 + patient,
                specs=tuple(_shrunk(spec, share) for spec in specs) if share else (),
            )
            taken += timedelta(days=int(rng.integers(2, 9)), minutes=int(rng.integers(-90, 90)))


def _shrunk(spec: OpacitySpec, share: float) -> OpacitySpec:
    return replace(spec, radius=max(spec.radius * share, 1.6), strength=max(spec.strength * share, 0.6))


def _write(folder: Path, study: Study, phantom: Phantom, format: str) -> str:
    stem = f"{study.patient_id}_{study.number + 1}"
    if format == "png" or (format == "both" and (study.patient + study.number) % 2):
        files.write_png(folder / f"{stem}.png", phantom)
        return f"{stem}.png"
    files.write_dicom(
        folder / f"{stem}.dcm",
        phantom,
        patient_id=study.patient_id,
        patient_name=study.patient_name,
        taken=study.taken,
        birth_year=study.birth_year,
    )
    return f"{stem}.dcm"


def _row(study: Study, phantom: Phantom, image: str) -> dict[str, object]:
    return {
        "image": image,
        "finding": phantom.finding,
        "patient": study.patient_id,
        "source": "phantom",
        "modality": "DX",
        "view": "PA",
        "sex": "F" if phantom.female else "M",
        "age": study.taken.year - study.birth_year,
        "study_date": study.taken.date().isoformat(),
        "offset_days": study.offset_days,
        "opacities": len(phantom.opacities),
        "centres": "|".join(f"{o.x:.1f} {o.y:.1f} {o.radius:.1f}" for o in phantom.opacities),
    }
