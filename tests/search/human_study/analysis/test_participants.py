import numpy as np
import pandas as pd
import pytest

from search.human_study.analysis.participants import kept, screen

LABELS = ["poor", "fair", "good", "fine"]
STRENGTHS = dict(zip(LABELS, [-2.5, -0.8, 0.8, 2.5], strict=True))


def session(name: str, n: int = 30, seed: int = 0, **style: float) -> pd.DataFrame:
    """Comparisons of a participant; `style` may set random (share), failed (catch) or ms."""
    rng = np.random.default_rng([seed, *name.encode()])
    rows = []
    for _ in range(n):
        first, second = rng.choice(LABELS, 2, replace=False)
        better = STRENGTHS[first] > STRENGTHS[second]
        random = rng.random() < style.get("random", 0.1)
        chosen = rng.random() < 0.5 if random else better
        rows.append(
            (name, "sea", first, second, float(chosen), "comparison", style.get("ms", 2000))
        )
    failed = int(style.get("failed", 0))
    rows += [
        (name, "sea", "original", "catch", float(i >= failed), "catch", 2000) for i in range(4)
    ]
    columns = ["participant", "picture", "first", "second", "preferred", "kind", "response_ms"]
    return pd.DataFrame(rows, columns=columns).assign(
        repeat_of=pd.array([pd.NA] * len(rows), "Int64")
    )


def reasons(*sessions: pd.DataFrame) -> dict[str, str]:
    table = screen(pd.concat(sessions, ignore_index=True), LABELS)
    return dict(zip(table["participant"], table["excluded"], strict=True))


STEADY = [session(f"steady {i}") for i in range(6)]


def test_steady_participants_are_kept() -> None:
    assert set(reasons(*STEADY).values()) == {""}


@pytest.mark.parametrize(
    ("odd", "reason"),
    [
        (session("odd", n=9), "fewer than 10 answers"),
        (session("odd", failed=2), "failed 2 of 4 catch trials"),
        (session("odd", ms=300), "within 500 ms"),
        (session("odd", n=60, random=1.0), "agrees with the others in"),
    ],
)
def test_odd_participants_are_excluded_with_the_reason(odd: pd.DataFrame, reason: str) -> None:
    found = reasons(*STEADY, odd)
    assert reason in found.pop("odd")
    assert set(found.values()) == {""}


def test_of_two_who_disagree_neither_is_excluded() -> None:
    found = reasons(STEADY[0], session("odd", n=60, random=1.0))
    assert set(found.values()) == {""}


def test_somebody_who_prefers_a_side_repeats_no_answer() -> None:
    """The same questions with exchanged sides, and always the first is preferred."""
    odd = session("odd", n=24, failed=0)
    odd = odd[odd["kind"] == "comparison"].reset_index(drop=True)
    odd.loc[:11, "preferred"] = [
        float(STRENGTHS[a] > STRENGTHS[b])
        for a, b in zip(odd["first"][:12], odd["second"][:12], strict=True)
    ]
    for i in range(12):
        odd.loc[12 + i, ["first", "second"]] = odd.loc[i, ["second", "first"]].to_list()
        odd.loc[12 + i, "preferred"] = odd.loc[i, "preferred"]
        odd.loc[12 + i, "repeat_of"] = i
    table = pd.concat([odd, *STEADY], ignore_index=True)
    row = screen(table, LABELS).iloc[0]
    assert (row["repeated"], row["repeated_alike"]) == (12, 0)
    assert row["excluded"] == "repeated 0 of 12 answers"


@pytest.mark.filterwarnings("error")
def test_somebody_who_left_during_practice_has_no_agreement() -> None:
    left = session("left", n=0).assign(kind="training")
    row = screen(pd.concat([left, *STEADY], ignore_index=True), LABELS).iloc[0]
    assert row["excluded"] == "fewer than 10 answers"
    assert np.isnan(row["agreement"])


def test_only_answers_of_kept_participants_are_kept() -> None:
    answers = pd.concat([*STEADY, session("odd", failed=4)], ignore_index=True)
    assert "odd" not in set(kept(answers, screen(answers, LABELS))["participant"])


def test_answers_of_nobody_are_kept() -> None:
    unnamed = session("odd", n=60, random=1.0).assign(participant="")
    assert reasons(unnamed) == {"": ""}
