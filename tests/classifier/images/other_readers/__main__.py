"""Compare Hilum's working images with those of dcmtk and gdcm; prints rows for docs/other-readers.md.

python -m tests.classifier.images.other_readers FOLDER...
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.classifier.images.other_readers.comparison import compared

for folder in map(Path, sys.argv[1:]):
    images, disagreements = compared(folder)
    for file, reader, how in disagreements:
        print(f"| {folder.name} | `{file}` | {reader} | {how} |", flush=True)
    print(f"{folder.name}: {images} images", flush=True)
