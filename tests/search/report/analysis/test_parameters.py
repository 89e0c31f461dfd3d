from itertools import pairwise

import pandas as pd
import pytest

from search.report.analysis.parameters import evenly_spread, searched_parameters, values_of


@pytest.mark.parametrize(("rows", "most"), [(1, 5), (5, 5), (5, 9), (11, 3), (1000, 7)])
def test_a_sample_has_both_ends_and_no_row_twice(rows: int, most: int) -> None:
    places = evenly_spread(pd.DataFrame({"place": range(rows)}), most)["place"].tolist()
    assert len(places) == min(rows, most)
    assert (places[0], places[-1]) == (0, rows - 1)
    steps = {after - before for before, after in pairwise(places)}
    assert len(places) == 1 or max(steps) - min(steps) <= 1


def test_parameters_that_differ_are_searched_and_their_values_ordered() -> None:
    trials = pd.DataFrame(
        {
            "bd_rate_percent": [1.0, 2.0, 3.0],
            "decoder.16.C": [192, 128, 160],
            "latent_channels": [128, 128, 128],
            "context": ["grid", "none", "grid"],
        }
    )
    values = values_of(searched_parameters(trials))
    assert values == {"decoder.16.C": [128, 160, 192], "context": ["none", "grid"]}
    assert {type(value) for value in values["decoder.16.C"]} == {int}


def test_expansions_of_chains_without_blocks_do_not_count() -> None:
    trials = pd.DataFrame(
        {
            "decoder.16.R": [0, 0, 3, 3, 4],
            "decoder.16.E": [1, 3, 2, 3, 2],
            "decoder.16.F": [1, 4, 2, 2, 2],
        }
    )
    points = searched_parameters(trials)
    assert points.to_dict("list") == {
        "decoder.16.R": [0, 0, 3, 3, 4],
        "decoder.16.E": [2, 2, 2, 3, 2],
    }
    assert values_of(points) == {"decoder.16.R": [0, 3, 4], "decoder.16.E": [2, 3]}
