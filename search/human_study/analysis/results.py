"""The results of a study."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class Analysis:
    """Results of a study, as tables that the named functions make."""

    conditions: pd.DataFrame
    """`scale.elo_table`."""
    differences: pd.DataFrame
    """`scale.differences`."""
    bd_rates: pd.DataFrame
    """`scale.bd_rates`."""
    participants: pd.DataFrame
    """`participants.screen`."""
    metrics: pd.DataFrame
    """`agreement.agreement`; empty if there are no pictures."""
    answers: int
    """Number of answers that were used."""
    pictures: int
    """Number of pictures that these are about."""
    excludes: bool
    """Whether participants were excluded by the rules of `participants`."""
