"""A journal that writes at once, against Optuna's own."""

from pathlib import Path

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from search.study.journal import JOURNAL, Journal


def study_of(journal: JournalFileBackend) -> optuna.Study:
    return optuna.create_study(
        storage=JournalStorage(journal), study_name="study", load_if_exists=True
    )


def a_trial(study: optuna.Study) -> None:
    trial = study.ask()
    x = trial.suggest_int("x", 0, 9)
    trial.set_user_attr("seen", True)
    study.tell(trial, float(x))


def read(folder: Path) -> list[optuna.trial.FrozenTrial]:
    """As another process reads it, which leaves an entry that the study is known already."""
    return study_of(JournalFileBackend(str(folder / JOURNAL))).trials


def test_nothing_is_written_before_the_end_and_everything_after_it(tmp_path: Path) -> None:
    journal = Journal.of(tmp_path)
    study = study_of(journal)
    for n in range(3):
        with journal.batch():
            a_trial(study)
            assert len(study.trials) == n + 1
            assert len(read(tmp_path)) == n
        assert read(tmp_path) == study.trials
    a_trial(study)
    assert read(tmp_path) == study.trials
    assert [trial.number for trial in study.trials] == [0, 1, 2, 3]


def test_the_file_is_the_one_that_single_writes_make(tmp_path: Path) -> None:
    def operations(folder: Path, together: bool) -> list[str]:
        folder.mkdir()
        journal = Journal.of(folder)
        study = study_of(journal)
        study.sampler = optuna.samplers.RandomSampler(seed=0)
        for _ in range(2):
            if together:
                with journal.batch():
                    a_trial(study)
            else:
                a_trial(study)
        lines = (folder / JOURNAL).read_text().splitlines()
        return [line.partition('"worker_id"')[0] for line in lines]

    assert operations(tmp_path / "a", together=True) == operations(tmp_path / "b", together=False)


def test_an_interruption_loses_nothing(tmp_path: Path) -> None:
    journal = Journal.of(tmp_path)
    study = study_of(journal)

    def interrupted() -> None:
        with journal.batch():
            a_trial(study)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert read(tmp_path) == study.trials
