"""Where text is, by the detector of PP-OCR: its letters must stay the letters they are.

The detector is the ONNX file that `rapidocr-onnxruntime` carries (Apache-2.0), run by onnxruntime;
nothing else of that package is used.
"""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation

from search.config import ConfigError
from search.photographs import Crops
from space.writing import write_whole

MODEL = Path("models/ch_PP-OCRv4_det_infer.onnx")
"""Within the package rapidocr_onnxruntime."""
MULTIPLE = 32
"""Sides that the network takes."""
THRESHOLD = 0.3
"""Probability from which PP-OCR takes a pixel for text."""
GROWN_PX = 4
"""The network is trained to find text shrunk by about this much on either side."""
VERSION = 1
"""Rises when masks would be others, so that none is taken from the cache."""

Mask = NDArray[np.bool_]


class TextDetector:
    """Finds text in pictures, on one thread."""

    def __init__(self) -> None:
        """Raises ConfigError where the packages are missing."""
        package = find_spec("rapidocr_onnxruntime")
        if package is None or package.origin is None or find_spec("onnxruntime") is None:
            raise ConfigError(
                "text is found by a network that is not installed: pip install 'codec-search[text]'"
            )
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session: Any = onnxruntime.InferenceSession(
            Path(package.origin).parent / MODEL, options, providers=["CPUExecutionProvider"]
        )

    def mask(self, pixels: NDArray[np.uint8]) -> Mask:
        """Which pixels [H, W] of an image [H, W, 3] lie within a line of text."""
        height, width, _ = pixels.shape
        padding = ((0, -height % MULTIPLE), (0, -width % MULTIPLE), (0, 0))
        padded = np.pad(pixels, padding, mode="edge")
        # As PP-OCR gives it: blue first, in [-1, 1].
        given = padded[..., ::-1].transpose(2, 0, 1)[None].astype(np.float32) / 127.5 - 1
        (found,) = self._session.run(None, {self._session.get_inputs()[0].name: given})
        text = found[0, 0, :height, :width] > THRESHOLD
        return np.asarray(binary_dilation(text, iterations=GROWN_PX))


def masks_of(crops: Crops, cache: Path) -> NDArray[np.uint8]:
    """Masks of text [n, H, W / 8] of crops [n, 3, H, W], eight pixels to a byte.

    Each set of crops is looked through once and remembered in the folder `cache`. Raises
    ConfigError as `TextDetector` does.
    """
    digest = hashlib.sha256(np.ascontiguousarray(crops).data).hexdigest()[:16]
    path = cache / f"text-{VERSION}-{digest}.masks"
    shape = (len(crops), crops.shape[2], crops.shape[3] // 8)
    if path.is_file() and path.stat().st_size == np.prod(shape):
        return np.fromfile(path, np.uint8).reshape(shape)
    detector = TextDetector()
    masks = np.stack([np.packbits(detector.mask(c.transpose(1, 2, 0)), axis=-1) for c in crops])
    cache.mkdir(parents=True, exist_ok=True)
    write_whole(path, masks.tobytes())
    return masks


def unpacked(masks: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Masks [n, H, W] of 0 and 1."""
    return np.unpackbits(masks, axis=-1).astype(np.float32)
