"""The entropy coder's tables, and how many bits symbols cost with them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property

import torch

from space.codec.scales import SIGMA_MIN, table_sigmas
from space.entropy_coding.payload import TableLists, check_tables, table_lists


@dataclass(frozen=True)
class Tables:
    """The entropy coder's tables: cumulative frequencies of 16 bits, as stored with a model.

    Raises ValueError if there are not TABLE_COUNT tables, or if the frequencies of a table do not
    rise strictly from 0 to 2**16.
    """

    cdfs: torch.Tensor
    """Cumulative frequencies [TABLE_COUNT, longest] from 0 to 2**16, int32.

    The last interval of a table stands for all symbols outside the table. An escape code follows it
    and gives the symbol.
    """
    lengths: torch.Tensor
    """Number [TABLE_COUNT] of cumulative frequencies that each table uses, int32."""
    offsets: torch.Tensor
    """Symbol [TABLE_COUNT] that the first interval of each table stands for, int32."""

    def __post_init__(self) -> None:
        check_tables(self.cdfs.numpy(), self.lengths.numpy(), self.offsets.numpy())

    @classmethod
    @cache
    def gaussian(cls) -> Tables:
        """The tables of zero-mean Gaussians whose standard deviations are `table_sigmas`."""
        from compressai.entropy_models import GaussianConditional

        model = GaussianConditional(table_sigmas().tolist(), scale_bound=SIGMA_MIN)
        model.update()
        return cls(model.quantized_cdf.int(), model.cdf_length.int(), model.offset.int())

    @cached_property
    def _entry_bits(self) -> torch.Tensor:
        return 16 - torch.log2(self.cdfs.diff(dim=1).clamp(min=1))

    def bits(self, symbols: torch.Tensor, tables: torch.Tensor) -> torch.Tensor:
        """Number of bits that each symbol costs with its table.

        `symbols` and the table indexes `tables` are int64 tensors of equal shape.
        """
        last = self.lengths.long()[tables] - 2
        place = symbols - self.offsets.long()[tables]
        # The coder's escape is the last entry, then a count of four-bit digits and the digits.
        outside = (place < 0) | (place >= last)
        excess = torch.where(place < 0, -2 * place - 1, 2 * (place - last)).clamp(min=0)
        digits = sum((excess >= 16**n).long() for n in range(8))
        escape = torch.where(outside, 4 + 4 * digits, 0)
        return self._entry_bits[tables, torch.where(outside, last, place)] + escape

    def as_lists(self) -> TableLists:
        """`cdfs`, `lengths` and `offsets` as the lists that the entropy coder takes."""
        return table_lists(self.cdfs.numpy(), self.lengths.numpy(), self.offsets.numpy())
