import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from space.architecture import CHOICES, Architecture, Chain

chains = st.builds(
    Chain, C=st.integers(1, 256), R=st.integers(0, 8), E=st.integers(1, 4), F=st.integers(1, 4)
)
halves = st.tuples(chains, chains, chains)
architectures = st.builds(
    Architecture,
    encoder=halves,
    decoder=halves,
    latent_channels=st.integers(1, 80).map(lambda n: 4 * n),
    hyper_channels=st.integers(1, 128),
    **{name: st.sampled_from(accepted) for name, accepted in CHOICES.items()},
)
EXAMPLE = Architecture(
    encoder=(Chain(64, 1, 2, 2), Chain(96, 2, 1, 4), Chain(96, 0)),
    decoder=(Chain(160, 4, 2, 2), Chain(64, 3, 2, 2), Chain(32, 3, 2, 2)),
    latent_channels=128,
    hyper_channels=32,
)


@given(architectures)
def test_json_round_trip_keeps_the_architecture_and_its_id(architecture: Architecture) -> None:
    again = Architecture.from_json(architecture.to_json())
    assert again == architecture
    assert again.id == architecture.id


@given(architectures, architectures)
def test_ids_are_equal_exactly_for_equal_architectures(a: Architecture, b: Architecture) -> None:
    assert (a.id == b.id) == (a == b)


def test_expansions_of_an_empty_chain_do_not_make_another_architecture() -> None:
    assert Chain(64, 0, 3, 4) == Chain(64, 0, 1, 2) == Chain(64, 0)


def test_id_does_not_depend_on_the_process() -> None:
    program = (
        "import sys; from space.architecture import Architecture;"
        "print(Architecture.from_json(sys.argv[1]).id)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, EXAMPLE.to_json()],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONHASHSEED": "7"},
    )
    assert done.stdout.strip() == EXAMPLE.id


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"latent_channels": 0}, "latent_channels=0"),
        ({"latent_channels": 1.5}, "latent_channels=1.5"),
        ({"latent_channels": 6}, "latent_channels=6: expected a whole number, a multiple of 4"),
        ({"activation": "tanh"}, "relu, leaky_relu, gelu, silu"),
        ({"context": "causal"}, "context='causal': expected one of none, checkerboard, grid"),
        ({"encoder": [{"C": 8, "R": -1}] * 3}, "R=-1"),
        ({"encoder": [{"C": 8, "R": 1}] * 2}, "not an architecture"),
        ({"width": 3}, "width"),
    ],
)
def test_bad_fields_are_named(change: dict[str, object], expected: str) -> None:
    text = json.dumps(json.loads(EXAMPLE.to_json()) | change)
    with pytest.raises(ValueError, match=expected):
        Architecture.from_json(text)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"encoder": ' * 100_000, "[]", "{}", "3"])
def test_other_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not an architecture"):
        Architecture.from_json(text)
