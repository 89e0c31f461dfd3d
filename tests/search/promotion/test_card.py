import re
from pathlib import Path

import pandas as pd
import pytest

from search.promotion.card import Card, write_card
from search.promotion.shortlist import trials_of
from search.study.records import RecordError, RunRecord

REFERENCE = Path(__file__).parents[3] / "results/reference"
RECIPE = {
    "name": "mine",
    "mse": {"steps": 3, "loss": {"psnr": 1.0}, "tiling": 0.0, "text": 0.0, "gan": 0.0},
    "perceptual": {"steps": 5, "loss": {"ms_ssim": 1.0}, "tiling": 0.1, "text": 0.0, "gan": 0.0},
}


@pytest.fixture
def card() -> Card:
    trial = trials_of(REFERENCE).dropna(subset="bd_rate_percent").iloc[1].to_dict()
    return Card.of(trial, RunRecord.read(REFERENCE), RECIPE, "the initialisation", 7)


def test_what_is_known_before_training_is_kept(card: Card, tmp_path: Path) -> None:
    card.write(tmp_path)
    assert Card.read(tmp_path) == card
    (tmp_path / Card.FILE).write_text("{}")
    with pytest.raises(RecordError, match=f"{Card.FILE}: not the card of a promoted model"):
        Card.read(tmp_path)


def test_the_card_carries_times_with_intervals_and_says_that_none_was_measured(
    card: Card, tmp_path: Path
) -> None:
    card.write(tmp_path)
    page = write_card(tmp_path).read_text()
    costs = card.costs
    low, high = costs["decode_low_ms"], costs["decode_high_ms"]
    assert f"{costs['decode_ms']:.0f} ms ({low:.0f} to {high:.0f})" in page
    assert "No phone was measured" in page
    phases = "3 steps with distortion 1 psnr, then 5 steps with distortion 1 ms_ssim + 0.1 tiling"
    assert f"`mine`: {phases}. Training started from the initialisation, with seed 7." in page
    assert "Held-out crops" not in page


def test_the_last_validation_and_the_bench_are_on_it_when_they_are_there(
    card: Card, tmp_path: Path
) -> None:
    card.write(tmp_path)
    row = {"quality": 4.0, "bpp": 0.5, "ssimulacra2": 60.0, "ms_ssim": 15.0, "psnr": 33.0}
    validation = pd.DataFrame([{"step": 2, **row, "bpp": 0.7}, {"step": 8, **row}])
    validation.to_csv(tmp_path / "validation.csv", index=False)
    (tmp_path / "bench.md").write_text("## BD-rate against JPEG, %\n")
    page = write_card(tmp_path).read_text()
    assert "| 4 | 0.500 | 60.00 | 15.00 | 33.00 |" in re.sub(" +", " ", page)
    assert "0.700" not in page
    assert page.rstrip().endswith("## BD-rate against JPEG, %")
