"""Folders are walked, ZIP archives opened: an image in one is answered as `archive.zip/name`.

The exit status is 0 when every file got an answer (a refusal is one), 1 when one failed, 2 when a file, model
or device that was named cannot be used. An image for whose modality there is no model is answered
`abstained`, `no_model_for_modality`, without probabilities.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from classifier.cli.arguments import add_model_options
from classifier.contract import ADVICE, DISCLAIMER, NO_MODEL_FOR_MODALITY

if TYPE_CHECKING:
    from classifier.cli.inputs import Read, Source
    from classifier.cli.models import Models
    from classifier.images.archive.listing import Unpacked
    from classifier.images.sandbox.client import ParsingHelper
    from classifier.inference.predictor import Answer, Failure, Predictor

BATCH = 16
HELPER_FAILED = "helper_failed"
Record = dict[str, Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "files", nargs="+", metavar="FILE", help="DICOM, PNG, JPEG, ZIP archives or folders of them"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")
    parser.add_argument("--no-cam", action="store_true", help="leave out the class activation maps")
    add_model_options(parser)


def run(args: argparse.Namespace) -> int:
    from tqdm import tqdm

    from classifier.cli.inputs import files_under
    from classifier.cli.models import Models
    from classifier.images.sandbox.client import ParsingHelper

    files, missing = files_under(args.files, note=lambda said: print(said, file=sys.stderr))
    for name in missing:
        print(f"{name}: no such file, or it may not be read", file=sys.stderr)
    statuses = set()
    models = Models(args.model, device=args.device, precision=args.precision)
    with ParsingHelper() as helper, tqdm(total=len(files), unit="file", leave=False, disable=None) as bar:

        def unpacked(path: Path, found: Unpacked) -> None:
            bar.total += len(found.members) - 1
            for line in lines_of_skipped(path, found):
                bar.write(line, file=sys.stderr)

        for record in answer(
            files,
            helper,
            models,
            modality=args.modality,
            with_cam=not args.no_cam,
            unpacked=unpacked,
        ):
            statuses.add(record["status"])
            bar.write(json.dumps(record) if args.json else line_of(record), file=sys.stdout)
            sys.stdout.flush()
            bar.update()
    print(DISCLAIMER, file=sys.stderr)
    return 2 if missing else int("failed" in statuses)


def answer(
    files: Iterable[Path],
    helper: ParsingHelper,
    models: Models,
    *,
    modality: str = "auto",
    with_cam: bool = True,
    unpacked: Callable[[Path, Unpacked], None] = lambda path, found: None,
) -> Iterator[Record]:
    """One record a file, in order, in the form that `--json` prints; one an image of an archive.

    `unpacked` is told of each archive what was in it.
    """
    from classifier.cli.inputs import read_all

    sources = read_all(helper, files, models.stated_slot(modality), unpacked)
    while batch := list(islice(sources, BATCH)):
        yield from _answer_batch(batch, models, with_cam)


def _answer_batch(sources: list[Source], models: Models, with_cam: bool) -> list[Record]:
    from classifier.cli.inputs import Read

    records: dict[int, Record] = {}
    waiting: dict[Predictor, list[tuple[int, Read, float]]] = defaultdict(list)
    for index, source in enumerate(sources):
        name, found, seconds = source.name, source.found, source.seconds
        predictor = models.for_slot(found.facts.slot) if isinstance(found, Read) else None
        if not isinstance(found, Read):
            records[index] = _unread(name, found, seconds)
        elif predictor is None:
            records[index] = _record(name, "abstained", NO_MODEL_FOR_MODALITY, seconds)
        else:
            waiting[predictor].append((index, found, seconds))
    for predictor, group in waiting.items():
        for (index, _, seconds), result in zip(group, _predict(predictor, group), strict=True):
            records[index] = _answered(sources[index].name, predictor, result, seconds, with_cam)
    return [records[index] for index in range(len(sources))]


def _predict(predictor: Predictor, group: list[tuple[int, Read, float]]) -> list[Answer | Failure]:
    from classifier.inference.predictor import Input

    return predictor.predict(
        [Input(read.working, (read.facts.rows, read.facts.columns), read.age) for _, read, _ in group]
    )


def _unread(name: str, error: Exception, seconds: float) -> Record:
    from classifier.errors import Refused
    from classifier.images.archive.listing import ARCHIVE_ADVICE

    if isinstance(error, Refused):
        if error.detail in ARCHIVE_ADVICE:
            print(f"{name}: {ARCHIVE_ADVICE[error.detail].seen}", file=sys.stderr)
        return _record(name, "refused", error.reason.value, seconds)
    print(f"{name}: {error}", file=sys.stderr)
    return _record(name, "failed", HELPER_FAILED, seconds)


def _answered(
    name: str, predictor: Predictor, result: Answer | Failure, seconds: float, with_cam: bool
) -> Record:
    from classifier.inference.predictor import Failure

    model = {"model": predictor.spec.name, "model_sha256": predictor.artifact.sha256}
    if isinstance(result, Failure):
        print(f"{name}: {result.message}", file=sys.stderr)
        return _record(name, "failed", result.code, seconds) | model
    prediction = result.prediction
    status, reason = ("abstained", prediction.abstention.value) if prediction.withheld else ("ok", None)
    return (
        _record(name, status, reason, seconds + result.seconds)
        | model
        | {
            "finding": prediction.finding,
            "probabilities": dict(prediction.probabilities),
            "withheld": prediction.withheld,
            "cam": result.cam.as_dict() if with_cam else None,
        }
    )


def _record(name: str, status: str, reason: str | None, seconds: float) -> Record:
    return {
        "file": name,
        "status": status,
        "reason": reason,
        "finding": None,
        "probabilities": None,
        "withheld": False,
        "cam": None,
        "model": None,
        "model_sha256": None,
        "seconds": round(seconds, 4),
    }


def lines_of_skipped(path: Path, unpacked: Unpacked) -> Iterator[str]:
    """What was left out of an archive, a line for each reason."""
    from classifier.images.archive.listing import SKIP_LABELS

    for skipped in unpacked.skipped:
        more = (
            f" and {skipped.count - len(skipped.names):,} more" if skipped.count > len(skipped.names) else ""
        )
        yield f"{path}: skipped ({SKIP_LABELS[skipped.reason]}): {', '.join(skipped.names)}{more}"


def line_of(record: Record) -> str:
    """A record as one line for people: the answer first, then its reasons."""
    file = record["file"].encode("utf-8", "backslashreplace").decode()
    if record["status"] == "ok":
        return f"{file}: {record['finding'] or 'no finding above its threshold'} ({figures_of(record)})"
    advice = ADVICE.get(record["reason"])
    said = f"{advice.seen} {advice.remedy}" if advice else record["reason"]
    if record["reason"] == NO_MODEL_FOR_MODALITY:
        said = f"{advice.seen} Name one with --model."
    word = {"refused": "refused", "abstained": "no answer", "failed": "failed"}[record["status"]]
    return f"{file}: {word}: {said}" + (f" (withheld: {figures_of(record)})" if record["withheld"] else "")


def figures_of(record: Record) -> str:
    ranked = sorted(record["probabilities"].items(), key=lambda item: -item[1])
    return ", ".join(f"{finding} {probability:.2f}" for finding, probability in ranked)
