"""The context model: mean and quantisation width of each symbol, given symbols decoded earlier.

This is PICO's one-shot scheme (arXiv 2605.05148, section 3). Sigma never depends on symbols of the
latent, so entropy coding needs one pass. Only the mean and the width are refined step by step, by
networks that stay on the accelerator. Each step decodes one group of the latent: a phase of the 2x2
grid, half of the checkerboard, a quarter of the channels or, without context, everything.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from space.architecture import HYPER_DEPTH, Architecture
from space.arithmetic import DECODING_STEPS, GROUP_QUARTERS, MAX_LOG_WIDTH, PHASES
from space.codec.blocks import ConvScale, LevelScale, upsampling
from space.codec.precision import branch
from space.codec.rounding import round_straight_through


def split_groups(x: Tensor, pattern: str) -> Sequence[Tensor]:
    """Split `x` [B, M, H, W] into groups of equal shape, in decoding order.

    H and W must be even. A group is [B, M, H/2, W/2] for the pattern `grid`, [B, 2M, H/2, W/2] for
    `checkerboard`, [B, M/4, H, W] for `channels`, and all of `x` for `none`.
    """
    if pattern in ("checkerboard", "grid"):
        x = torch.cat([x[..., row::2, column::2] for row, column in PHASES], dim=1)
    return x.chunk(DECODING_STEPS[pattern], dim=1)


def join_groups(groups: Sequence[Tensor], pattern: str) -> Tensor:
    """Join groups to a tensor [B, M, H, W]. This is the inverse of `split_groups`."""
    if pattern in ("checkerboard", "grid"):
        phases = [phase for group in groups for phase in group.chunk(4 // len(groups), dim=1)]
        by_place = torch.cat([phases[PHASES.index((i // 2, i % 2))] for i in range(4)], dim=1)
        return nn.functional.pixel_shuffle(nn.functional.channel_shuffle(by_place, 4), 2)
    return torch.cat(list(groups), dim=1) if len(groups) > 1 else groups[0]


class Context(nn.Module):
    """Context decoder and context model: they convert between a latent and its symbols.

    The latent is [B, M, 4h, 4w] and the hyper-latent [B, N, h, w]. Means and widths are in units of
    a quantisation step, which is learned per channel and quality level and controls the rate. The
    heads that predict means and widths start at zero. An untrained context model therefore predicts
    a mean of 0 and a width of one step.
    """

    def __init__(self, architecture: Architecture, levels: int) -> None:
        super().__init__()
        latent, hyper = architecture.latent_channels, architecture.hyper_channels
        self.pattern = architecture.context
        steps = DECODING_STEPS[self.pattern]
        group = latent * GROUP_QUARTERS[self.pattern] // 4
        self.hidden = ConvScale(hyper, 2 * hyper, kernel_size=3)
        self.up = upsampling(2 * hyper, latent, "haar", HYPER_DEPTH)
        self.step = LevelScale(latent, levels)
        self.decoded = nn.ModuleList(
            ConvScale(group * before, group, kernel_size=3) for before in range(1, steps)
        )
        self.mean = nn.ModuleList(ConvScale(group, group) for _ in range(steps))
        learned = steps if architecture.quantisation == "learned" else 0
        self.log_width = nn.ModuleList(ConvScale(group, group) for _ in range(learned))
        for last in (*self.mean, *self.log_width):
            nn.init.zeros_(last.weight)

    def residual(self, latent: Tensor, z: Tensor, levels: Tensor) -> Tensor:
        """The unrounded symbols [B, M, 4h, 4w] of `latent`.

        `z` is the hyper-latent, which must already be rounded.
        """
        return join_groups(
            [residual for residual, _ in self._coded(latent, z, levels)], self.pattern
        )

    def residual_and_width(
        self, latent: Tensor, z: Tensor, levels: Tensor, fixed_width: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """The unrounded symbols of `latent`, as from `residual`, and their predicted widths.

        The predicted widths are None if the codec predicts no widths, so that all are one step.
        Symbols are quantised with the widths `fixed_width`. If `fixed_width` is None, they are
        quantised with the predicted widths.
        """
        residuals, widths = zip(*self._coded(latent, z, levels, fixed_width), strict=True)
        width = join_groups(widths, self.pattern) if self.log_width else None
        return join_groups(residuals, self.pattern), width

    def _coded(
        self, latent: Tensor, z: Tensor, levels: Tensor, fixed_width: Tensor | None = None
    ) -> Iterator[tuple[Tensor, Tensor | None]]:
        """Residual and predicted width of every group."""
        decoded: list[Tensor] = []
        groups = split_groups(latent / self.step.vector(levels), self.pattern)
        fixed = (
            [None] * len(groups) if fixed_width is None else split_groups(fixed_width, self.pattern)
        )
        for group, prior, width in zip(groups, self._priors(z), fixed, strict=True):
            mean, predicted = self._predict(prior, decoded)
            used = predicted if width is None else width
            residual = group - mean if used is None else (group - mean) / used
            yield residual, predicted
            if len(decoded) + 1 < len(groups):
                decoded.append(_dequantise(self._round(residual), mean, used))

    def forward(self, symbols: Tensor, z: Tensor, levels: Tensor) -> Tensor:
        """The dequantised latent [B, M, 4h, 4w] of `symbols`."""
        decoded: list[Tensor] = []
        groups = split_groups(symbols, self.pattern)
        for group, prior in zip(groups, self._priors(z), strict=True):
            decoded.append(_dequantise(group, *self._predict(prior, decoded)))
        return self.step(join_groups(decoded, self.pattern), levels)

    def _round(self, residual: Tensor) -> Tensor:
        return round_straight_through(residual) if self.training else residual.round()

    def _priors(self, z: Tensor) -> Sequence[Tensor]:
        return split_groups(torch.relu(self.up(torch.relu(self.hidden(z)))), self.pattern)

    def _predict(self, prior: Tensor, decoded: Sequence[Tensor]) -> tuple[Tensor, Tensor | None]:
        """Mean and width of the next group."""
        step = len(decoded)
        if decoded:
            before = torch.cat(list(decoded), dim=1) if step > 1 else decoded[0]
            prior = torch.relu(prior + branch(self.decoded[step - 1], before))
        if not self.log_width:
            return self.mean[step](prior), None
        log_width = MAX_LOG_WIDTH * torch.tanh(self.log_width[step](prior) / MAX_LOG_WIDTH)
        return self.mean[step](prior), torch.exp(log_width)


def _dequantise(symbols: Tensor, mean: Tensor, width: Tensor | None) -> Tensor:
    return symbols + mean if width is None else symbols * width + mean
