"""Text masks from the detector of PP-OCR, for a loss that keeps letters legible.

The detector is the ONNX file in the package `rapidocr-onnxruntime` (Apache-2.0), run by
onnxruntime; nothing else of that package is used.
"""

from __future__ import annotations

import hashlib
import math
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation

from latency_predictor.writing import write_whole
from search.config.schema import ConfigError
from search.data.photographs import Crops

MODEL = Path("models/ch_PP-OCRv4_det_infer.onnx")
"""Path of the detector inside the package rapidocr_onnxruntime."""
MULTIPLE = 32
"""The network requires image sides that are multiples of this number of px."""
THRESHOLD = 0.3
"""Probability above which PP-OCR classifies a pixel as text."""
GROWN_PX = 4
"""Dilation of the detected regions, in px. The network was trained to mark lines of text shrunk by
about this much on each side."""
MASK_VERSION = 1
"""Version of the masks, to be raised whenever they change, so that cached ones are not reused."""

TextMask = NDArray[np.bool_]


class TextDetector:
    """Detector of text in images, on one thread."""

    def __init__(self) -> None:
        """Load the network. Raises ConfigError if a required package is missing."""
        package = find_spec("rapidocr_onnxruntime")
        if package is None or package.origin is None or find_spec("onnxruntime") is None:
            raise ConfigError(
                "the text loss and the GAN loss need a text detector that is not installed: "
                "pip install 'codec-search[text]'"
            )
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session: Any = onnxruntime.InferenceSession(
            Path(package.origin).parent / MODEL, options, providers=["CPUExecutionProvider"]
        )

    def mask(self, pixels: NDArray[np.uint8]) -> TextMask:
        """Mask [H, W] of the pixels of an image [H, W, 3] that lie within a line of text."""
        height, width, _ = pixels.shape
        padding = ((0, -height % MULTIPLE), (0, -width % MULTIPLE), (0, 0))
        padded = np.pad(pixels, padding, mode="edge")
        # PP-OCR's input format: BGR in [-1, 1].
        image = padded[..., ::-1].transpose(2, 0, 1)[None].astype(np.float32) / 127.5 - 1
        (found,) = self._session.run(None, {self._session.get_inputs()[0].name: image})
        text = found[0, 0, :height, :width] > THRESHOLD
        return np.asarray(binary_dilation(text, iterations=GROWN_PX))


def masks_of(crops: Crops, cache: Path) -> NDArray[np.uint8]:
    """Text masks [n, H, W / 8] of crops [n, 3, H, W], packed eight pixels to a byte.

    The masks of an array of crops are computed once and stored in the folder `cache`, with their
    checksum. If the file is damaged, or of an earlier version, which has no checksum, they are
    computed again. Raises ConfigError if the masks are not stored yet and a package that
    `TextDetector` needs is missing.
    """
    digest = hashlib.sha256(np.ascontiguousarray(crops).data).hexdigest()[:16]
    path = cache / f"text-{MASK_VERSION}-{digest}.masks"
    shape = (len(crops), crops.shape[2], crops.shape[3] // 8)
    stored = path.read_bytes() if path.is_file() else b""
    data = stored[: math.prod(shape)]
    if stored == data + hashlib.sha256(data).digest():
        return np.frombuffer(data, np.uint8).reshape(shape)
    detector = TextDetector()
    masks = np.stack([np.packbits(detector.mask(c.transpose(1, 2, 0)), axis=-1) for c in crops])
    cache.mkdir(parents=True, exist_ok=True)
    data = masks.tobytes()
    write_whole(path, data + hashlib.sha256(data).digest())
    return masks


def unpacked(masks: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Masks [n, H, W] of 0.0 and 1.0 from the packed form of `masks_of`."""
    return np.unpackbits(masks, axis=-1).astype(np.float32)
