"""The commands that README.md and the tutorials show, and how tests run them.

A page's commands are those of its blocks of shell. `SMALL` says with which small settings a test
runs a command, and `SKIPPED` which commands no test can run here, and why. A command of a new kind
needs an entry in one of them. Only the first search is run to its end. Further searches, and all
promotions, run until they would start their workers.
"""

import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = (
    ROOT / "README.md",
    *(path for path in (ROOT / "docs/get_started.md",) if path.is_file()),
    *sorted((ROOT / "docs/tutorials").glob("*.md")),
)
BLOCK = re.compile(r"^```(?:sh|bash|shell|console)\n(.*?)^```", re.DOTALL | re.MULTILINE)
OURS = {"search": "search", "latency_predictor": "latency_predictor"}
"""Packages that `python -m` runs."""


@dataclass(frozen=True)
class Small:
    """Settings that make a command small."""

    keys: tuple[str, ...] = ()
    """KEY=VALUE instead of what the page says of these keys."""
    options: dict[str, str] = field(default_factory=dict)
    """Values of options instead of those of the page."""
    words: dict[str, str] = field(default_factory=dict)
    """Words instead of others of the page."""
    trains: bool = False
    """Whether the command starts workers."""


SEARCH = (
    "search.trials=2", "search.start_trials=2", "data.select_crops=2", "data.train_crops=16",
    "run.root=searched",
)  # fmt: skip
PROMOTE = (
    "recipe.crops=8", "recipe.batch=1", "recipe.perceptual.steps=2", "recipe.validate_every=2",
    "data.select_crops=2",
)  # fmt: skip
SMALL = {
    "search run": Small(SEARCH, words={"+space=pico_large": "+space=pico_small"}, trains=True),
    "search promote": Small(PROMOTE, trains=True),
    "search report": Small(),
    "search encode": Small(),
    "search decode": Small(),
    "search identify": Small(),
    "search export": Small(),
    "search bench": Small(options={"--codecs": "jpeg", "--metrics": "psnr", "--workers": "1"}),
    "search train": Small(options={"--steps": "1"}),
    "search study create": Small(options={"--crop": "128x128", "--workers": "1"}),
    "latency_predictor kit": Small(options={"--n": "2"}, words={"pico_large": "pico_tiny"}),
    "latency_predictor profile": Small(),
    "latency_predictor calibrate": Small(),
    "latency_predictor evaluate": Small(),
    "latency_predictor predict": Small(),
    "latency_predictor suggest": Small(),
    "latency_predictor import": Small(),
}
"""Small settings by the words of a command."""
TRAINED_ELSEWHERE = {"search promote"}
"""Commands that tests/search/cli/test_promote_command.py trains to their end."""
SKIPPED = {
    r"pip install ": "needs a network; the tests run where the package is installed",
    r"git clone ": "needs a network",
    r"(python -m venv|source) ": "makes the environment in which the tests run",
    r"pytest": "is this suite of tests",
    r"ray start": "needs several machines",
    r"(ssh|rsync|sbatch|srun) ": "needs another machine",
    r"(xcrun|xcodebuild|open) ": "needs a Mac",
    r"python -m latency_predictor profile ": "needs a Mac and a phone; made-up times stand in",
    r"python -m search .*address=(?!local)": "needs a cluster; tests/faults has one",
    r"python -m search report .*--serve": "serves until it is stopped",
    r"python -m search study (serve|analyse)": "needs people; tests/search/human_study has them",
}
"""Reasons why a command is not run, by the expression that it begins with."""


@dataclass(frozen=True)
class Command:
    """A command of a page."""

    text: str
    """The command as the page has it, in one line."""
    full: bool
    """Whether the command is run to its end, where `Small.trains` is true."""

    @property
    def reason(self) -> str | None:
        """The reason why the command is not run, or None if it is."""
        return next((why for how, why in SKIPPED.items() if re.match(how, self.text)), None)

    @property
    def kind(self) -> str:
        """The words of the command, such as `search study create`."""
        words = self.words
        if words[:2] != ["python", "-m"] or words[2] not in OURS:
            return words[0]
        return " ".join(words[2:5] if words[3] == "study" else words[2:4])

    @property
    def words(self) -> list[str]:
        return shlex.split(self.text, comments=True)

    def small(self) -> list[str]:
        """The words of the command with small settings, from the name of the package on.

        Raises KeyError if `SMALL` has no settings for it.
        """
        settings = SMALL[self.kind]
        keys = {key.partition("=")[0] for key in settings.keys}
        words = [settings.words.get(word, word) for word in self.words[2:]]
        words = [word for word in words if word.partition("=")[0] not in keys]
        for option, value in settings.options.items():
            if option in words:
                words[words.index(option) + 1] = value
            else:
                words += [option, value]
        return [*words, *settings.keys]


def blocks() -> dict[str, list[Command]]:
    """The commands of every block of shell, by page and line."""
    found: dict[str, list[Command]] = {}
    trained = set(TRAINED_ELSEWHERE)
    for page in PAGES:
        text = page.read_text()
        for block in BLOCK.finditer(text):
            place = f"{page.name}:{text.count(chr(10), 0, block.start(1)) + 1}"
            found[place] = []
            for line in commands(block[1]):
                kind = Command(line, True).kind
                found[place].append(Command(line, kind not in trained))
                trained.add(kind)
    return found


def commands(block: str) -> list[str]:
    """The commands of a block of shell, without comments and with lines joined."""
    lines = re.sub(r"\\\n\s*", "", block).splitlines()
    parts = (part.strip() for line in lines for part in line.partition(" #")[0].split("&&"))
    return [part.removeprefix("$ ") for part in parts if part and not part.startswith("#")]
