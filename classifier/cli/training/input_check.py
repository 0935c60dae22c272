"""Frontal images come from the manifest of findings; strangers from CSV files with `image` and
`group,source,patient,part` (`--strangers GROUP=CSV` where there is no group column). The gate is written to
`gate.safetensors`, its rates to `gate.json`. With --measure further gates are trained, each without one group
of strangers and without one source of frontal images, and the rates are theirs on what they never saw.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file, save_file
from tqdm import tqdm

from classifier.artifact.quantise import restored, stored
from classifier.data.manifest import read_manifest, with_split
from classifier.networks import lung_segmenter
from classifier.training.input_check.data import Item, read_items, read_ood_negatives
from classifier.training.input_check.ood_negatives import ood_negatives
from classifier.training.input_check.report import held_out_rates, made_rates, overall_rates
from classifier.training.input_check.train import BATCH, Material, train_input_check

GATE, RATES = "gate.safetensors", "gate.json"
MADE = 4000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--manifest", type=Path, required=True, metavar="CSV", help="frontal chest X-rays")
    parser.add_argument(
        "--strangers", action="append", default=[], metavar="[GROUP=]CSV", help="other images"
    )
    parser.add_argument("--segmenter", type=Path, metavar="FILE", help="knows where the lungs are")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="keep the preprocessed images here")
    parser.add_argument("--steps", type=int, default=1200, help="of the optimiser (default 1200)")
    parser.add_argument("--batch", type=int, default=BATCH, help=f"images a step (default {BATCH})")
    parser.add_argument("--made", type=int, default=MADE, help=f"strangers made by code (default {MADE})")
    parser.add_argument("--measure", action="store_true", help="measure by group, one held out each time")
    parser.add_argument("--measured-steps", type=int, help="of each gate that is only measured (as --steps)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int)


def run(args: argparse.Namespace) -> int:
    if args.threads:
        torch.set_num_threads(args.threads)
    args.out.mkdir(parents=True, exist_ok=True)
    try:
        material = gather(args)
        made = ood_negatives(args.made, args.cache or args.out)
        gate = train_input_check(material, made, steps=args.steps, batch=args.batch, seed=args.seed)
    except (ValueError, OSError) as error:
        print(f"training failed: {error}", file=sys.stderr)
        return 1
    save_file(stored(gate.state_dict(), "fp16"), args.out / GATE)
    rates = {"steps": args.steps, **overall_rates(gate, material), **made_rates(gate, material)}
    (args.out / RATES).write_text(json.dumps(rates, indent=1))
    if args.measure:
        steps = args.measured_steps or args.steps
        rates |= held_out_rates(material, made, steps=steps, batch=args.batch, seed=args.seed)
        (args.out / RATES).write_text(json.dumps(rates | {"measured_steps": steps}, indent=1))
    print(args.out / GATE)
    return 0


def gather(args: argparse.Namespace) -> Material:
    """The readable images of the manifest and of the strangers' files, with lung masks of the frontal."""
    rows = with_split(read_manifest(args.manifest), seed=args.seed)
    items = [Item(row.path, "", row.source, row.patient, row.split, row.view) for row in rows]
    for named in args.strangers:
        group, _, path = named.rpartition("=")
        items += read_ood_negatives(Path(path), group)
    squares, refused = read_items(items, args.cache or args.out)
    kept = [index for index, reason in enumerate(refused) if not reason]
    items, squares = [items[index] for index in kept], squares[kept]
    if args.segmenter is None:
        return Material(items, squares, [None] * len(items))
    frontal = [index for index, item in enumerate(items) if not item.group]
    found = lungs_of(squares[frontal], args.segmenter, args.cache or args.out)
    lungs = dict(zip(frontal, found, strict=True))
    return Material(items, squares, [lungs.get(index) for index in range(len(items))])


def lungs_of(squares: np.ndarray, segmenter: Path, folder: Path) -> np.ndarray:
    """Lung masks bool (N, h, w) of squares uint8 (N, SIDE, SIDE), kept in `folder`."""
    digest = hashlib.sha256(segmenter.read_bytes())
    digest.update(squares)
    store = folder / f"lungs-{digest.hexdigest()[:24]}.npy"
    if not store.exists():
        network = lung_segmenter.load_segmenter(restored(load_file(segmenter)))
        found = np.zeros((len(squares), lung_segmenter.SIZE, lung_segmenter.SIZE), bool)
        for start in tqdm(range(0, len(squares), 64), desc="finding lungs", unit="batch", disable=None):
            chosen = squares[start : start + 64].astype(np.uint16) * 257
            for offset, mask in enumerate(lung_segmenter.lung_mask(network, list(chosen))):
                found[start + offset] = lung_segmenter.lungs_of(mask).any(axis=0)
        temporary = store.with_suffix(f".{os.getpid()}.npy")
        np.save(temporary, np.packbits(found, axis=-1))
        os.replace(temporary, store)
    return np.unpackbits(np.load(store), axis=-1).astype(bool)
