"""Makes digits-images.idx.gz and digits-labels.idx.gz from scikit-learn's copy of the UCI digits.

    pip install scikit-learn && python make_digits.py

Pixels in 0..16 are brought to 0..255 (round(v * 255 / 16), halves up); the order of the examples is kept.
"""

import gzip
import struct
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

here = Path(__file__).parent
digits = load_digits()
images = np.floor(digits.images * 255 / 16 + 0.5).astype(np.uint8)
labels = digits.target.astype(np.uint8)
assert images.shape == (1797, 8, 8) and labels.shape == (1797,)
for name, array in (("digits-images.idx.gz", images), ("digits-labels.idx.gz", labels)):
    header = struct.pack(">BBBB", 0, 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    data = gzip.compress(header + array.tobytes(), compresslevel=9, mtime=0)
    (here / name).write_bytes(data)
    print(name, len(data), "bytes")
