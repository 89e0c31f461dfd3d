"""Names of objectives in the configuration, and the columns that they stand for."""

import re

import pytest

from latency_predictor import load_default
from search.config.checks import check_values
from search.config.schema import Config, ConfigError, Mode, SearchConfig
from search.costs.costs import costs_of
from search.study.objectives import COSTS, PAIR, costs_first, find_objectives, selecting_metrics
from space.search_space import SearchSpace


def asking_for(*objectives: str, rungs: tuple[int, ...] = (), metric: str = "psnr") -> Config:
    config = Config(space={"name": "any"})
    config.search.objectives, config.search.metric = objectives, metric
    config.proxy.rungs, config.proxy.steps = rungs, 10
    return config


def refused(config: Config, said: str) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape(said)}") as error:
        check_values(config)
    assert "\n" not in str(error.value)


def test_all_predicted_times_and_sizes_are_accepted(tiny: SearchSpace) -> None:
    predicted = costs_of(tiny.reference, load_default(), "iphone13")
    assert set(COSTS) == {name for name in predicted if not name.endswith("_distance")}
    for name in COSTS:
        assert find_objectives(asking_for(name, "bd_rate")) == (name, "bd_rate_percent")


def test_the_default_is_bd_rate_and_decode_time() -> None:
    assert find_objectives(Config()) == PAIR


def test_a_bd_rate_may_name_its_metric() -> None:
    config = asking_for("bd_rate_haarpsi", "decode_ms", "bd_rate_psnr", "bd_rate_ms_ssim")
    assert find_objectives(config) == (
        "bd_rate_haarpsi_percent",
        "decode_ms",
        "bd_rate_percent",
        "bd_rate_ms_ssim_percent",
    )
    assert set(selecting_metrics(config)) == {"psnr", "haarpsi", "ms_ssim"}
    assert selecting_metrics(config)[0] == "psnr"


def test_the_selecting_metric_counts_though_it_is_no_objective() -> None:
    assert selecting_metrics(asking_for("bd_rate_ms_ssim", "size_mb")) == ("psnr", "ms_ssim")


def test_costs_come_first_and_keep_their_order() -> None:
    columns = ["bd_rate_percent", "size_mb", "bd_rate_psnr_percent", "decode_ms"]
    assert costs_first(columns) == [
        "size_mb",
        "decode_ms",
        "bd_rate_percent",
        "bd_rate_psnr_percent",
    ]


@pytest.mark.parametrize(
    ("objectives", "said"),
    [
        ((), "[]: expected two or more of bd_rate, bd_rate_ssimulacra2, "),
        (("bd_rate",), "[bd_rate]: expected two or more of bd_rate, bd_rate_ssimulacra2, "),
        (
            ("bd_rate", "decode_s"),
            "[bd_rate,decode_s]: 'decode_s' is no objective; expected some of bd_rate, ",
        ),
        (("bd_rate", "decode_distance"), "[bd_rate,decode_distance]: 'decode_distance' is no"),
        (("bd_rate_cvvdp", "decode_ms"), "[bd_rate_cvvdp,decode_ms]: 'bd_rate_cvvdp' is no"),
        (("bd_rate_", "decode_ms"), "[bd_rate_,decode_ms]: 'bd_rate_' is no objective"),
        (
            ("bd_rate", "size_mb", "size_mb"),
            "[bd_rate,size_mb,size_mb]: expected distinct objectives, but size_mb and size_mb are",
        ),
        (
            ("bd_rate", "size_mb", "bd_rate_psnr"),
            "[bd_rate,size_mb,bd_rate_psnr]: expected distinct objectives, but bd_rate and "
            "bd_rate_psnr are the same",
        ),
        (
            ("decode_ms", "size_mb"),
            "[decode_ms,size_mb]: expected a BD-rate among them, such as bd_rate",
        ),
    ],
)
def test_other_values_are_refused(objectives: tuple[str, ...], said: str) -> None:
    refused(asking_for(*objectives), f"search.objectives={said}")


def test_all_accepted_names_are_in_the_message() -> None:
    with pytest.raises(ConfigError) as error:
        check_values(asking_for("quality", "decode_ms"))
    named = str(error.value).partition("expected some of ")[2].split(", ")
    assert set(COSTS) < set(named)
    for name in set(named) - set(COSTS):
        check_values(asking_for(name, "decode_ms"))


def test_rungs_measure_a_single_bd_rate() -> None:
    check_values(asking_for("size_mb", "bd_rate_psnr", "decode_ms", rungs=(0, 5)))
    for objectives in (("bd_rate", "bd_rate_ms_ssim"), ("bd_rate_ms_ssim", "decode_ms")):
        said = (
            "proxy.rungs=[0]: expected a single BD-rate in search.objectives beside it, that by "
            f"search.metric=psnr, not [{','.join(objectives)}]"
        )
        refused(asking_for(*objectives, rungs=(0,)), said)


def test_a_band_has_objectives_of_its_own() -> None:
    config = Config(space={"name": "any"})
    config.search.mode, config.search.target_ms = Mode.band, 60.0
    config.search.objectives = tuple(SearchConfig.objectives)
    check_values(config)
    assert find_objectives(config) == ("bd_rate_percent",)
    config.search.objectives = ("bd_rate", "size_mb")
    refused(
        config,
        "search.objectives=[bd_rate,size_mb]: expected only beside search.mode=pareto, not with "
        "search.mode=band",
    )
