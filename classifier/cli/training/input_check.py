"""Frontal images come from a manifest with findings, OOD negatives from CSV files with `image` and
`group,source,patient,part` (`--ood-negatives GROUP=CSV` if there is no group column). The input check is
written to `input_check.safetensors`, its rates to `input_check.json`. --measure trains further input checks,
each without one group of OOD negatives and one source of frontal images, and reports their rates on those.
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

WEIGHTS, RATES = "input_check.safetensors", "input_check.json"
SYNTHETIC = 4000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--manifest", type=Path, required=True, metavar="CSV", help="frontal chest X-rays")
    add("--ood-negatives", action="append", default=[], metavar="[GROUP=]CSV", help="other images")
    add("--segmenter", type=Path, metavar="FILE", help="lung segmenter, to cut views by the lungs")
    add("--out", type=Path, required=True, metavar="DIR", help="folder to write to")
    add("--cache", type=Path, metavar="DIR", help="folder for preprocessed images (default: --out)")
    add("--steps", type=int, default=1200, help="steps of the optimiser (default: 1200)")
    add("--batch", type=int, default=BATCH, help=f"images per step (default: {BATCH})")
    add("--synthetic", type=int, default=SYNTHETIC, help=f"generated OOD negatives (default: {SYNTHETIC})")
    add("--measure", action="store_true", help="measure by group, one held out each time")
    add(
        "--measured-steps",
        type=int,
        help="steps of each input check that is only measured (default: --steps)",
    )
    add("--seed", type=int, default=0, help="seed of split, weights and augmentation (default: 0)")
    add("--threads", type=int, help="CPU threads (default: chosen by PyTorch)")


def run(args: argparse.Namespace) -> int:
    if args.threads:
        torch.set_num_threads(args.threads)
    args.out.mkdir(parents=True, exist_ok=True)
    try:
        material = gather(args)
        synthetic = ood_negatives(args.synthetic, args.cache or args.out)
        network = train_input_check(material, synthetic, steps=args.steps, batch=args.batch, seed=args.seed)
    except (ValueError, OSError) as error:
        print(f"training failed: {error}", file=sys.stderr)
        return 1
    save_file(stored(network.state_dict(), "fp16"), args.out / WEIGHTS)
    rates = {"steps": args.steps, **overall_rates(network, material), **made_rates(network, material)}
    (args.out / RATES).write_text(json.dumps(rates, indent=1))
    if args.measure:
        steps = args.measured_steps or args.steps
        rates |= held_out_rates(material, synthetic, steps=steps, batch=args.batch, seed=args.seed)
        (args.out / RATES).write_text(json.dumps(rates | {"measured_steps": steps}, indent=1))
    print(args.out / WEIGHTS)
    return 0


def gather(args: argparse.Namespace) -> Material:
    """The usable frontal images, with lung masks, and OOD negatives."""
    rows = with_split(read_manifest(args.manifest), seed=args.seed)
    items = [Item(row.path, "", row.source, row.patient, row.split, row.view) for row in rows]
    for named in args.ood_negatives:
        group, _, path = named.rpartition("=")
        items += read_ood_negatives(Path(path), group)
    images, refused = read_items(items, args.cache or args.out)
    kept = [index for index, reason in enumerate(refused) if not reason]
    items, images = [items[index] for index in kept], images[kept]
    if args.segmenter is None:
        return Material(items, images, [None] * len(items))
    frontal = [index for index, item in enumerate(items) if not item.group]
    found = lungs_of(images[frontal], args.segmenter, args.cache or args.out)
    lungs = dict(zip(frontal, found, strict=True))
    return Material(items, images, [lungs.get(index) for index in range(len(items))])


def lungs_of(images: np.ndarray, segmenter: Path, folder: Path) -> np.ndarray:
    """Lung masks bool (N, h, w) of images uint8 (N, SIDE, SIDE), kept in `folder`."""
    digest = hashlib.sha256(segmenter.read_bytes())
    digest.update(images)
    store = folder / f"lungs-{digest.hexdigest()[:24]}.npy"
    if not store.exists():
        network = lung_segmenter.load_segmenter(restored(load_file(segmenter)))
        found = np.zeros((len(images), lung_segmenter.SIZE, lung_segmenter.SIZE), bool)
        for start in tqdm(range(0, len(images), 64), desc="finding lungs", unit="batch", disable=None):
            chosen = images[start : start + 64].astype(np.uint16) * 257
            for offset, mask in enumerate(lung_segmenter.lung_mask(network, list(chosen))):
                found[start + offset] = lung_segmenter.lungs_of(mask).any(axis=0)
        temporary = store.with_suffix(f".{os.getpid()}.npy")
        np.save(temporary, np.packbits(found, axis=-1))
        os.replace(temporary, store)
    return np.unpackbits(np.load(store), axis=-1).astype(bool)
