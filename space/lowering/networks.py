"""Op lists in closed form: the ops that a phone runs for an architecture.

No torch module is built. The ops are exactly those that `latency_predictor.networks.trace` finds in
the folded codec. The functions take parameter values as columns with one entry per architecture,
and return one table with one program per architecture. A program is a sequence of segments, and
each segment depends on few parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latency_predictor.ops import Kind, OpTable
from space.architecture import (
    DECODER_STRIDES,
    ENCODER_STRIDES,
    HYPER_DEPTH,
    LATENT_STRIDE,
    Architecture,
)
from space.arithmetic import DECODING_STEPS, GROUP_QUARTERS
from space.bitstream.tiling import TILE
from space.lowering.op_list import OpList
from space.search_space import from_architecture

Figures = Mapping[str, NDArray[Any]]
"""Maps each parameter name to an array with one entry per architecture."""
_LATENT_PX = (TILE // LATENT_STRIDE) ** 2
_HYPER_PX = _LATENT_PX // 4**HYPER_DEPTH
"""Numbers of positions of the latent and of the hyper-latent in one tile."""


def _chain(ops: OpList, figures: Figures, *, half: str, stride: int) -> None:
    C, R, E, F = (figures[f"{half}.{stride}.{f}"] for f in "CREF")  # noqa: N806
    px = (TILE // stride) ** 2
    ops.conv(C, C * E, px, kernel=9, count=R)
    ops.conv(C * E, C * F, px, count=R)
    ops.conv(C * F, C, px, count=R)
    ops.binary(C, px, count=R)
    ops.level_scale(C, px)


def _down(ops: OpList, figures: Figures, *, before: int, stride: int) -> None:
    """The layer from stride `before`, where stride 1 is the image, to the chain at `stride`."""
    inputs = figures[f"encoder.{before}.C"] if before > 1 else 3
    outputs, overlap = figures[f"encoder.{stride}.C"], figures["resampling"] == "conv"
    ops.down(inputs, outputs, (TILE // before) ** 2, stride // before, overlap)


def _up(ops: OpList, figures: Figures, *, stride: int, after: int) -> None:
    """The layer from the chain at `stride` to stride `after`, where stride 1 is the image."""
    outputs = figures[f"decoder.{after}.C"] if after > 1 else 3
    inputs, overlap = figures[f"decoder.{stride}.C"], figures["resampling"] == "conv"
    ops.up(inputs, outputs, (TILE // stride) ** 2, stride // after, overlap)


def _to_latent(ops: OpList, figures: Figures) -> None:
    ops.conv(figures[f"encoder.{LATENT_STRIDE}.C"], figures["latent_channels"], _LATENT_PX)


def _from_latent(ops: OpList, figures: Figures) -> None:
    ops.conv(figures["latent_channels"], figures[f"decoder.{LATENT_STRIDE}.C"], _LATENT_PX)


def _hyper_encoder(ops: OpList, figures: Figures) -> None:
    latent, hyper = figures["latent_channels"], figures["hyper_channels"]
    ops.add(Kind.MOVE, latent, 2 * latent, 2 * _LATENT_PX, _LATENT_PX)
    ops.down(2 * latent, hyper, _LATENT_PX, stride=2)
    ops.down(hyper, 2 * hyper, _LATENT_PX // 4, stride=2)
    ops.conv(2 * hyper, hyper, _LATENT_PX // 16)


def _context_decoder(ops: OpList, figures: Figures) -> None:
    """The context decoder, from the hyper-latent to the prior of the context loop."""
    latent, hyper = figures["latent_channels"], figures["hyper_channels"]
    ops.conv(hyper, 2 * hyper, _HYPER_PX, kernel=9)
    ops.up(2 * hyper, latent, _HYPER_PX, stride=2**HYPER_DEPTH)
    ops.level_scale(latent, _LATENT_PX)


def _context_loop(ops: OpList, figures: Figures, *, encode: bool) -> None:
    """The context loop, from the latent to symbols (`encode`) or from symbols to the latent."""
    latent, pattern = figures["latent_channels"], figures["context"]
    px = _LATENT_PX
    steps, quarters = _each(pattern, DECODING_STEPS), _each(pattern, GROUP_QUARTERS)
    by_phase = (pattern == "checkerboard") | (pattern == "grid")
    group, group_px = latent * quarters // 4, 4 * px // (quarters * steps)
    # The prior and the coded tensor are both split into groups.
    ops.add(Kind.MOVE, latent, 4 * latent, px, px // 4, count=2 * by_phase)
    learned = figures["quantisation"] == "learned"
    for step in range(max(DECODING_STEPS.values())):
        _context_step(ops, step, steps, group, group_px, learned, encode)
    ops.add(Kind.MOVE, latent, 4 * latent, px, px // 4, count=by_phase)
    ops.add(Kind.MOVE, 4 * latent, 4 * latent, px // 4, px // 4, count=by_phase)
    ops.add(Kind.MOVE, 4 * latent, latent, px // 4, px, count=by_phase)
    ops.add(Kind.MOVE, group, latent, steps * px, px, count=pattern == "channels")
    if encode:
        ops.add(Kind.ELEMENTWISE, latent, latent, px, px, count=steps > 1)


def _context_step(
    ops: OpList,
    step: int,
    steps: NDArray[np.int64],
    group: NDArray[np.int64],
    px: NDArray[np.int64],
    learned: NDArray[np.bool_],
    encode: bool,
) -> None:
    """One step of the context loop; its count is 0 for architectures with fewer steps."""
    taken = step < steps
    if step > 1:
        ops.add(Kind.MOVE, group, step * group, step * px, px, count=taken)
    if step > 0:
        ops.conv(step * group, group, px, kernel=9, count=taken)
        ops.binary(group, px, count=taken)
    ops.conv(group, group, px, count=taken * (1 + learned))
    ops.binary(group, px, count=taken * (1 + learned))
    if encode:
        again = step + 1 < steps
        ops.binary(group, px, count=again * (1 + learned))


def _scale_path(ops: OpList, figures: Figures) -> None:
    latent, hyper = figures["latent_channels"], figures["hyper_channels"]
    hidden = figures["scale_path"] == "uint8"
    ops.conv(hyper, 2 * hyper, _HYPER_PX, kernel=9, count=hidden)
    ops.conv(hyper * (1 + hidden), latent * 4**HYPER_DEPTH, _HYPER_PX)


Segment = Callable[[OpList, Figures], None]
"""Function that adds the ops of one part of a program to an op list.

It reads the same parameters for all architectures.
"""


def _encoder() -> Iterator[Segment]:
    for before, stride in pairwise((1, *ENCODER_STRIDES)):
        yield partial(_down, before=before, stride=stride)
        yield partial(_chain, half="encoder", stride=stride)
    yield from (_to_latent, _hyper_encoder, _context_decoder, partial(_context_loop, encode=True))


def _decoder() -> Iterator[Segment]:
    yield from (_context_decoder, partial(_context_loop, encode=False), _from_latent)
    for stride, after in pairwise((*DECODER_STRIDES, 1)):
        yield partial(_chain, half="decoder", stride=stride)
        yield partial(_up, stride=stride, after=after)


ENCODER = tuple(_encoder())
"""Segments of the encoder program: the ops of `codec.EncoderNetwork` on one tile."""
DECODER = tuple(_decoder())
"""Segments of the decoder program: the ops of `codec.Decoder` on one tile."""
SCALE_PATH: tuple[Segment, ...] = (_scale_path,)
"""The single segment of the scale path: the ops of `scales.IntegerScales` on one tile.

Both the encoder and the decoder run the scale path on the CPU. Adding `IntegerScales.base` is not
an op of its own: it counts as the bias that every convolution has in an op list.
"""


def lower_segments(segments: Sequence[Segment], figures: Figures) -> OpTable:
    """Op lists of the given segments for the architectures in `figures`.

    `segments` is `ENCODER`, `DECODER`, `SCALE_PATH` or some segments of one of these. The table has
    one program per architecture.
    """
    ops = OpList(len(next(iter(figures.values()))))
    for segment in segments:
        segment(ops, figures)
    return ops.table()


def _each(choices: NDArray[np.str_], values: Mapping[str, int]) -> NDArray[np.int64]:
    """Replace every entry of a categorical column by its value in `values`."""
    return np.sum([(choices == name) * value for name, value in values.items()], axis=0)


def figures_of(*architectures: Architecture) -> Figures:
    """Parameter values of one or more architectures, in the form that `lower_segments` takes."""
    points = [from_architecture(architecture) for architecture in architectures]
    return {name: np.array([point[name] for point in points]) for name in points[0]}
