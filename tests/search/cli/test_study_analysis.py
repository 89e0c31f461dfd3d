"""The commands `study analyse` and `study simulate`, on a study of two shipped pictures."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from search.__main__ import main
from search.human_study.answers import read_answers
from search.human_study.manifest import Picture, Size, Stimulus, Study

RATES = (0.5, 1.0, 2.0)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study whose stimuli are JPEG and WebP files of two patterns of noise and gradients."""
    folder = tmp_path_factory.mktemp("study")
    pictures = []
    for number in range(2):
        rng = np.random.default_rng(number)
        ramp = np.linspace(0, 200, 96)[None, :, None] + rng.normal(0, 12, (96, 96, 3))
        image = Image.fromarray(ramp.clip(0, 255).astype(np.uint8))
        image.save(folder / f"{number}.png")
        stimuli = []
        for codec in ("jpeg", "webp"):
            for rate, quality in zip(RATES, (10, 40, 90), strict=True):
                name = f"{number}-{codec}-{rate}"
                image.save(folder / f"{name}.{codec}", quality=quality)
                Image.open(folder / f"{name}.{codec}").convert("RGB").save(folder / f"{name}.png")
                size = (folder / f"{name}.{codec}").stat().st_size
                stimuli.append(
                    Stimulus(name, codec, rate, 8 * size / 96**2, size, f"quality {quality}",
                             f"{name}.png")
                )  # fmt: skip
        pictures.append(Picture(f"picture {number}", f"{number}.png", tuple(stimuli)))
    Study("small", 0, Size(96, 96), tuple(pictures)).write(folder)
    return folder


@pytest.fixture(scope="module")
def simulated(study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Answers of simulated participants, in a folder per kind of pairs."""
    out = tmp_path_factory.mktemp("simulated")
    words = ["--participants", "4", "--answers", "12", "--by", "psnr", "--out", str(out)]
    assert main(["study", "simulate", str(study), *words]) == 0
    return out


def test_simulated_answers_are_exported_with_a_table_of_widths(simulated: Path) -> None:
    answers = read_answers(simulated / "active")
    assert len(answers) == 48
    assert answers["participant"].nunique() == 4
    widths = pd.read_csv(simulated / "widths.csv")
    assert widths.groupby("pairs")["answers"].max().to_dict() == {"active": 48, "random": 48}
    assert (widths["elo"] > 0).all()


def test_a_table_of_strengths_decides_the_answers(study: Path, tmp_path: Path) -> None:
    elo = [0, 5000, 10000, 2500, 7500, 12500]
    labels = [f"{codec} {rate:g}" for codec in ("jpeg", "webp") for rate in RATES]
    pd.DataFrame({"condition": labels, "elo": elo}).to_csv(tmp_path / "elo.csv", index=False)
    words = ["--participants", "2", "--answers", "10", "--strengths", str(tmp_path / "elo.csv")]
    words += ["--lapses", "0", "--spread", "0", "--out", str(tmp_path / "out")]
    assert main(["study", "simulate", str(study), *words]) == 0
    answers = read_answers(tmp_path / "out/random")
    better = dict(zip(labels, elo, strict=True))
    wins = answers["first"].map(better) > answers["second"].map(better)
    assert (wins == (answers["preferred"] == 1)).all()


def test_answers_become_tables_figures_and_a_section(
    study: Path, simulated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    conditions = tmp_path / "conditions.csv"
    stimuli = Study.read(study).pictures[0].stimuli
    rows = [(each.condition.label, each.codec, each.bpp) for each in stimuli]
    pd.DataFrame(rows, columns=["condition", "codec", "bpp"]).to_csv(conditions, index=False)
    out = tmp_path / "out"
    words = [str(simulated / "random"), "--conditions", str(conditions), "--out", str(out)]
    assert main(["study", "analyse", *words]) == 0
    table = pd.read_csv(out / "elo.csv")
    assert (table["low"] < table["elo"]).all()
    assert (table["elo"] < table["high"]).all()
    assert "48 blind answers by 4 participants" in (out / "people.md").read_text()
    assert (out / "elo.png").is_file()
    assert "webp against jpeg" in capsys.readouterr().out


def test_the_apps_database_and_pictures_are_read_from_the_studys_folder(
    study: Path, simulated: Path, tmp_path: Path
) -> None:
    pytest.importorskip("sqlalchemy")
    from search.human_study.server.database import Answer, Database, Participant

    answers = read_answers(simulated / "active")
    database = Database(study)
    names = list(answers["participant"].unique())
    database.write(
        lambda session: session.add_all(
            Participant(id=number, token_hash=name, seed=0, joined="2026-01-01T00:00:00+00:00")
            for number, name in enumerate(names)
        )
    )
    database.write(
        lambda session: session.add_all(
            Answer(
                id=str(row.Index), participant_id=names.index(row.participant), number=row.Index,
                kind="comparison", picture=row.picture, first=row.first, second=row.second,
                first_on_left=True, preferred=row.preferred, response_ms=2000,
                answered="2026-01-01T00:00:00+00:00",
            )
            for row in answers.itertuples()
        )
    )  # fmt: skip
    database.close()
    out = tmp_path / "out"
    assert main(["study", "analyse", str(study), "--metrics", "psnr", "--out", str(out)]) == 0
    metrics = pd.read_csv(out / "metrics.csv").set_index("metric")
    assert metrics.loc["psnr", "answers"] > 0.6
    assert (out / "metrics.png").is_file()


def test_without_conditions_only_elo_is_reported(tmp_path: Path) -> None:
    rows = ["methodA,methodB,originalName,answerValue", *["good,poor,sea,B"] * 9, "poor,good,sea,B"]
    (tmp_path / "answers.csv").write_text("\n".join(rows))
    out = tmp_path / "out"
    assert main(["study", "analyse", str(tmp_path / "answers.csv"), "--out", str(out)]) == 0
    elo = pd.read_csv(out / "elo.csv").set_index("condition")["elo"]
    assert elo["good"] > elo["poor"] + 100
    assert not (out / "bd_rates.csv").exists()
    assert "but not other people" in (out / "people.md").read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["analyse", "nowhere"], "nowhere"),
        (["analyse", "STUDY", "--metrics", "vibes"], "'vibes' is unknown"),
        (["analyse", "FEW"], "all participants are excluded (a: fewer than 10 answers)"),
        (["analyse", "TRAINED"], "has no comparisons"),
        (["simulate", "nowhere", "--participants", "2", "--answers", "2"], "study.json"),
        (["simulate", "STUDY", "--participants", "2", "--answers", "31"], "asked 30 different"),
        (
            ["simulate", "STUDY", "--participants", "2", "--answers", "2", "--lapses", "1"],
            "below 1",
        ),
        (
            ["simulate", "STUDY", "--participants", "2", "--answers", "2", "--strengths", "no.csv"],
            "no.csv: expected a CSV file",
        ),
    ],
)
def test_a_wrong_request_is_one_line(
    study: Path, tmp_path: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    few, trained = tmp_path / "few.csv", tmp_path / "trained.csv"
    header = "participant,picture,first,second,preferred,kind\n"
    few.write_text(header + "a,sea,good,poor,1,comparison\n")
    trained.write_text(header + "a,sea,original,catch,1,training\n")
    places = {"STUDY": study, "FEW": few, "TRAINED": trained}
    named = [str(places.get(word, word)) for word in words]
    assert main(["study", *named]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
