import json
from dataclasses import replace
from pathlib import Path

import pytest

from search.human_study.manifest import FILE, Picture, Size, Stimulus, Study, StudyError

STIMULI = tuple(
    Stimulus(f"{codec}-{bpp}", codec, bpp, bpp - 0.003, 1000, "quality 4", f"p/{codec}-{bpp}.png")
    for codec in ("jpeg", "avif")
    for bpp in (0.25, 0.5)
)
STUDY = Study(
    "mine", 3, Size(640, 480), tuple(Picture(i, f"p/{i}.png", STIMULI) for i in ("sea", "city"))
)


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    STUDY.write(tmp_path)
    assert Study.read(tmp_path) == STUDY
    assert [condition.label for condition in STUDY.conditions] == [
        "jpeg 0.25", "jpeg 0.5", "avif 0.25", "avif 0.5",
    ]  # fmt: skip
    assert STUDY.pictures[1].shown()["avif 0.5"].file == "p/avif-0.5.png"


def test_a_change_of_one_letter_is_noticed(tmp_path: Path) -> None:
    STUDY.write(tmp_path)
    path = tmp_path / FILE
    path.write_text(path.read_text().replace("sea", "see"))
    with pytest.raises(StudyError, match="checksum"):
        Study.read(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pictures": ()}, "expected pictures"),
        ({"pictures": (STUDY.pictures[0],) * 2}, "different ids"),
        (
            {"pictures": (STUDY.pictures[0], Picture("b", "p/b.png", STIMULI[:3]))},
            "expected each of",
        ),
        ({"pictures": (Picture("b", "../b.png", STIMULI),)}, "outside the folder"),
        ({"pictures": (Picture("b", "/etc/b.png", STIMULI),)}, "outside the folder"),
        ({"format": 2}, "format"),
    ],
)
def test_a_study_that_contradicts_itself_is_refused(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    replace(STUDY, **change).write(tmp_path)
    with pytest.raises(StudyError, match=message):
        Study.read(tmp_path)


def test_other_folders_and_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="search study create"):
        Study.read(tmp_path)
    (tmp_path / FILE).write_text(json.dumps({"format": 1, "surprise": 1}))
    with pytest.raises(StudyError, match="broken or of another version"):
        Study.read(tmp_path)
