"""Coding of whole images to compressed files and back, with ONNX Runtime.

Several tiles are coded at a time, each by one thread. A tile's result therefore does not depend on
the number of threads.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from space.architecture import LEVELS, QUALITY_STEPS
from space.bitstream.container import (
    NO_METADATA,
    Header,
    Metadata,
    check_model,
    quality_steps,
    read,
    write,
)
from space.bitstream.stored_model import ModelError, StoredModel
from space.bitstream.tile_coder import (
    LARGEST_SYMBOL,
    AbstractTileCoder,
    Pixels,
    Progress,
    TileSymbols,
    decode_tiles,
    encode_tiles,
    silent,
)
from space.entropy_coding.payload import Symbols, check_tables, table_lists
from space.runtime.networks import decoder_graph, encoder_graph
from space.runtime.scales import ScalePath
from space.runtime.tensors import check_tensors

NO_LOG = 4
"""Level at which ONNX Runtime writes nothing but fatal errors to standard error."""
GRAPHS = {"encoder": encoder_graph, "decoder": decoder_graph}
PARTS = {
    "encoder": {"analysis.": "analysis.", "context.": "decoder.context."},
    "decoder": {"": "decoder."},
}
"""Names of weights in a network's graph and in the model, by their beginnings."""


class RuntimeModel:
    """A model file, whose networks run in ONNX Runtime on the CPU."""

    def __init__(self, stored: StoredModel) -> None:
        """Raises ModelError if the model's tensors are not those of its architecture.

        Names, shapes and types of all tensors and the content of the tables are checked here.
        """
        self.architecture = stored.description.architecture
        self.id = stored.description.id
        self._stored = stored
        self._sessions: dict[str, onnxruntime.InferenceSession] = {}
        self._lock = Lock()
        tensors = stored.tensors
        try:
            check_tensors(self.architecture, tensors)
            tables = [tensors[f"tables.{name}"] for name in ("cdfs", "lengths", "offsets")]
            check_tables(*tables)
        except ValueError as error:
            raise ModelError(f"damaged ({error})") from error
        self.scales = {
            name.removeprefix("scales."): tensors[name]
            for name in tensors
            if name.startswith("scales.")
        }
        self.tables = table_lists(*tables)

    @classmethod
    def load(cls, path: Path) -> RuntimeModel:
        """Read a model file. If `path` is a folder, read the model file in it.

        Nothing in the file is executed. Raises ModelError if the file is missing, of another kind
        or version, or damaged.
        """
        stored = StoredModel.load(path)
        try:
            return cls(stored)
        except ModelError as error:
            raise ModelError(f"{path}: {error}") from error

    def run(self, network: str, inputs: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """Run the network `encoder` or `decoder`, which is made when it is first used.

        Several threads may do so at once.
        """
        with self._lock:
            if network not in self._sessions:
                self._sessions[network] = self._session(network)
        found: list[NDArray[Any]] = self._sessions[network].run(None, inputs)
        return found

    def _session(self, network: str) -> onnxruntime.InferenceSession:
        """A network that runs in one thread."""
        weights = self._stored.weights
        parts = PARTS[network]
        named = {
            f"{ours}{n}": x for ours, theirs in parts.items() for n, x in weights(theirs).items()
        }
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = NO_LOG
        file = GRAPHS[network](self.architecture, named)
        return onnxruntime.InferenceSession(file, options, ["CPUExecutionProvider"])


class RuntimeTileCoder(AbstractTileCoder):
    """Codes single tiles in ONNX Runtime."""

    def __init__(self, model: RuntimeModel, quality_steps: int) -> None:
        """`quality_steps` is the quality level times QUALITY_STEPS."""
        super().__init__(model.architecture, model.tables)
        self._model = model
        self._scales = ScalePath(model.scales, quality_steps)
        distance = np.abs(np.float32(quality_steps / QUALITY_STEPS) - np.arange(LEVELS))
        self._levels = np.maximum(0, 1 - distance).astype(np.float32)[None]

    def analyse(self, pixels: Pixels) -> TileSymbols:
        """Run the encoder network, as `AbstractTileCoder.analyse` describes."""
        inputs = {"pixels": pixels[None], "levels": self._levels}
        latent, z = self._model.run("encoder", inputs)
        for symbols in (latent, z):
            if not (np.abs(symbols) < LARGEST_SYMBOL).all():
                raise ModelError(
                    f"the model's symbols are NaN or too large: "
                    f"their magnitude must be below {LARGEST_SYMBOL:,}"
                )
        return TileSymbols(z[0].astype(np.int32), latent[0].astype(np.int32))

    def synthesise(self, symbols: TileSymbols) -> Pixels:
        """Run the decoder network, as `AbstractTileCoder.synthesise` describes."""
        latent, z = (x[None].astype(np.float32) for x in (symbols.latent, symbols.z))
        inputs = {"latent": latent, "z": z, "levels": self._levels}
        (image,) = self._model.run("decoder", inputs)
        if not np.isfinite(image).all():
            raise ModelError("the decoded image contains NaN or infinite values")
        samples = np.rint(image[0].clip(0, 1) * 255).astype(np.uint8)
        return samples.transpose(1, 2, 0)

    def hyper_tables(self, shape: tuple[int, ...]) -> Symbols:
        """Table indexes, as `AbstractTileCoder.hyper_tables` describes."""
        return self._scales.hyper_tables(shape)

    def latent_tables(self, z: Symbols) -> Symbols:
        """Table indexes, as `AbstractTileCoder.latent_tables` describes."""
        return self._scales.latent_tables(z)


def encode(
    pixels: Pixels,
    model: RuntimeModel,
    quality: float,
    metadata: Metadata = NO_METADATA,
    threads: int = 1,
    progress: Progress = silent,
) -> bytes:
    """Encode an image [H, W, 3] to the bytes of a compressed file.

    `space.bitstream.files.encode` describes the limits. `threads` is the number of tiles that are
    coded at a time.
    """
    height, width, _ = pixels.shape
    header = Header(width, height, quality_steps(quality), model.id, metadata)
    coder = RuntimeTileCoder(model, header.quality_steps)
    return write(header, encode_tiles(pixels, coder, threads, progress))


def decode(
    data: bytes, model: RuntimeModel, threads: int = 1, progress: Progress = silent
) -> tuple[Pixels, Metadata]:
    """Decode the bytes of a compressed file to an image [H, W, 3] and its metadata.

    Raises BitstreamError if the data are damaged or were written by another model, and ModelError
    if the decoded image contains NaN or infinite values.
    """
    header, payloads = read(data)
    check_model(header, model.id)
    coder = RuntimeTileCoder(model, header.quality_steps)
    return decode_tiles(header, payloads, coder, threads, progress), header.metadata
