"""A participant's way through the study, by the requests of the page."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from served_study import HEIGHT, WIDTH, Person, Served
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from search.human_study.server.database import Participant


def table(served: Served) -> pd.DataFrame:
    """All rows of answers, in the order of the session."""
    with served.database.reading() as session:
        rows = session.execute(text("select * from answer order by participant_id, number"))
        return pd.DataFrame(rows.mappings())


def finish(person: Person) -> list[dict[str, object]]:
    """Answer everything, always by choosing the left copy; return the states that were shown."""
    states = [person.checked()]
    while states[-1]["stage"] != "done":
        states.append(person.answer(states[-1]).json())
    return states


def test_a_session_goes_from_checks_over_training_to_comparisons(served: Served) -> None:
    person = served.join()
    assert person.state() == {"stage": "screen", "size": [WIDTH, HEIGHT]}
    assert person.post("screen", pixel_ratio=1.25, fits=1).json()["stage"] == "plates"
    stages = Counter(state["stage"] for state in finish(person))
    # 20 comparisons, and a catch trial for every ten.
    assert stages == {"training": 3, "comparison": 22, "done": 1}
    rows = table(served)
    assert Counter(rows["kind"]) == {"training": 3, "comparison": 20, "catch": 2}
    assert set(rows[rows["kind"] != "comparison"]["first"]) == {"original"}
    assert rows["preferred"].tolist() == rows["first_on_left"].astype(float).tolist()
    assert 0 < rows["first_on_left"].mean() < 1


def test_repetitions_exchange_the_sides_of_an_earlier_comparison(served: Served) -> None:
    finish(served.join())
    rows = table(served).set_index("id")
    repeats = rows[rows["repeat_of"].notna()]
    assert len(repeats) == 2
    for _, repeat in repeats.iterrows():
        earlier = rows.loc[repeat["repeat_of"]]
        same = ["picture", "first", "second", "kind"]
        assert repeat[same].tolist() == earlier[same].tolist()
        assert repeat["first_on_left"] != earlier["first_on_left"]
        assert repeat["number"] > earlier["number"]


def test_nobody_is_asked_the_same_twice(served: Served) -> None:
    finish(served.join())
    rows = table(served)
    new = rows[(rows["kind"] == "comparison") & rows["repeat_of"].isna()]
    asked = {(row.picture, frozenset((row.first, row.second))) for row in new.itertuples()}
    assert len(asked) == len(new)


def test_pictures_are_those_of_the_trial(served: Served) -> None:
    person = served.join()
    state = person.checked()
    for _ in range(8):
        row = table(served).iloc[-1]
        names = {"original": "original", "catch": "catch"}
        sides = (
            [row["first"], row["second"]] if row["first_on_left"] else [row["second"], row["first"]]
        )
        for role, label in zip(("original", "left", "right"), ["original", *sides], strict=True):
            name = names.get(label, label.replace(" ", "-"))
            file = served.folder / "pictures" / row["picture"] / f"{name}.png"
            response = person.picture(state, role)
            assert response.headers["content-type"] == "image/png"
            assert np.array_equal(
                np.asarray(Image.open(BytesIO(response.content))), np.asarray(Image.open(file))
            )
        state = person.answer(state).json()


def test_addresses_of_pictures_tell_nothing(served: Served) -> None:
    first, second = served.join(), served.join()
    names: list[str] = []
    for person in (first, second):
        state = person.checked()
        for _ in range(5):
            names += state["pictures"].values()
            state = person.answer(state).json()
    # Not even the original itself, as a copy in training, has the name of the original.
    assert len(set(names)) == len(names)
    assert all(len(name) == 48 and set(name) <= set("0123456789abcdef") for name in names)


def test_a_reload_shows_the_same_trial(served: Served) -> None:
    person = served.join()
    shown = person.checked()
    assert person.state() == person.state() == shown
    served.start()
    person.client = served.client
    assert person.state() == shown


def test_a_repeated_answer_is_neither_lost_nor_doubled(served: Served) -> None:
    person = served.join()
    first = person.checked()
    second = person.answer(first, "left").json()
    again = person.answer(first, "right").json()
    assert again["trial"] == second["trial"]
    rows = table(served)
    assert rows["preferred"].notna().sum() == 1
    assert rows["preferred"][0] == rows["first_on_left"][0]


def test_answers_that_are_sent_at_once_are_stored_once(served: Served) -> None:
    person = served.join()
    state = person.checked()
    with ThreadPoolExecutor(8) as pool:
        responses = list(pool.map(lambda _: person.answer(state), range(8)))
    assert {response.status_code for response in responses} == {200}
    assert len({response.json()["trial"] for response in responses}) == 1
    assert len(table(served)) == 2


def test_training_says_what_was_right_and_nothing_else_does(served: Served) -> None:
    person = served.join()
    state = person.checked()
    for number in range(6):
        row = table(served).iloc[-1]
        following = person.answer(state, "left").json()
        assert following.get("right") == (row["first_on_left"] if number < 3 else None)
        state = following


def test_plates_count_once(served: Served) -> None:
    person = served.join()
    person.post("screen", pixel_ratio=1, fits=2)
    person.post("plates", read=["", "", "", ""])
    person.post("plates", read=["26", "29", "35", "38"])
    with served.database.reading() as session:
        read = session.execute(text("select grey_plates, colour_plates from participant")).one()
    assert tuple(read) == (0, 0)


def test_the_organiser_sees_progress_ranking_and_all_answers(served: Served) -> None:
    finish(served.join())
    served.join()
    link = f"/organiser/{served.keys.organiser()}"
    assert "small" in served.client.get(link).text
    progress = served.client.get(f"{link}/progress").json()
    assert progress["answers"] == 20
    assert [row["finished"] for row in progress["participants"]] == [True, False]
    assert progress["participants"][0]["repeats"] == "0 of 2"
    elos = [row["elo"] for row in progress["ranking"]]
    assert elos == sorted(elos, reverse=True)
    assert sum(row["shown"] for row in progress["ranking"]) == 40
    exported = pd.read_csv(BytesIO(served.client.get(f"{link}/answers.csv").content))
    assert len(exported) == 25
    repeated = exported[exported["repeat_of"].notna()]
    earlier = exported.loc[repeated["repeat_of"].astype(int)]
    assert repeated["first"].tolist() == earlier["first"].tolist()


def test_a_shorter_session_keeps_who_finished_a_longer_one(served: Served) -> None:
    finish(served.join())
    served.comparisons = 10
    served.start()
    link = f"/organiser/{served.keys.organiser()}"
    assert served.client.get(f"{link}/progress").json()["finished"] == 1


def test_a_change_that_fails_harms_no_other_change(served: Served) -> None:
    served.join()
    with served.database.reading() as session:
        taken = session.execute(text("select token_hash from participant")).scalar_one()

    def join(token_hash: str) -> None:
        joined = Participant(token_hash=token_hash, seed=0, joined="2026-01-01T00:00:00+00:00")
        served.database.write(lambda session: session.add(joined))

    with pytest.raises(IntegrityError):
        join(taken)
    join("free")
    with served.database.reading() as session:
        assert session.execute(text("select count(*) from participant")).scalar_one() == 2


@pytest.mark.parametrize("comparisons", [1, 7, 10])
def test_short_sessions_end(served: Served, comparisons: int) -> None:
    served.comparisons = comparisons
    served.start()
    finish(served.join())
    assert (table(served)["kind"] == "comparison").sum() == comparisons
