"""A study of crops of photographs, and its app."""

from io import BytesIO
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_image
from starlette.testclient import TestClient

from search.human_study.manifest import Picture, Size, Stimulus, Study
from search.human_study.server.app import LOCAL_HOSTS, make_app
from search.human_study.server.database import Database
from search.human_study.server.keys import Keys

WIDTH, HEIGHT = 150, 110
QUALITIES = {"jpeg": {0.5: 10, 1.0: 35, 2.0: 80}, "webp": {0.5: 5, 1.0: 45, 2.0: 88}}
ORIGIN = "http://127.0.0.1:8400"


def coded(image: Image.Image, codec: str, quality: int) -> tuple[Image.Image, int]:
    """The decoded image, and the size of its file."""
    file = BytesIO()
    image.save(file, codec, quality=quality)
    return Image.open(file).convert("RGB"), len(file.getvalue())


def write_study(folder: Path, name: str = "small", codecs: dict[str, str] | None = None) -> Study:
    """A study of three crops; `codecs` renames codecs."""
    pictures = []
    china, flower = (np.array(load_sample_image(f"{name}.jpg")) for name in ("china", "flower"))
    for number, (photograph, left) in enumerate(((china, 0), (china, 300), (flower, 150))):
        image = Image.fromarray(photograph[150 : 150 + HEIGHT, left : left + WIDTH])
        place = Path("pictures") / str(number)
        (folder / place).mkdir(parents=True)
        image.save(folder / place / "original.png")
        coded(image, "jpeg", 3)[0].save(folder / place / "catch.png")
        stimuli = []
        for codec, qualities in QUALITIES.items():
            for rate, quality in qualities.items():
                decoded, size = coded(image, codec, quality)
                file = place / f"{codec}-{rate:g}.png"
                decoded.save(folder / file)
                stimuli.append(
                    Stimulus(
                        f"{codec}-{rate:g}", (codecs or {}).get(codec, codec), rate,
                        8 * size / (WIDTH * HEIGHT), size, f"quality {quality}", str(file),
                    )
                )  # fmt: skip
        pictures.append(
            Picture(
                str(number), str(place / "original.png"), tuple(stimuli), str(place / "catch.png")
            )
        )
    study = Study(name, 0, Size(WIDTH, HEIGHT), tuple(pictures))
    study.write(folder)
    return study


class Person:
    """A participant at the app, who sends what the page would send."""

    def __init__(self, client: TestClient, keys: Keys) -> None:
        self.client, self.keys = client, keys
        invitation = f"/join/{keys.invitation()}"
        joined = client.post(invitation, json={}, headers=self.headers(keys.invitation()))
        self.link = str(joined.json()["link"])
        self.token = self.link.rsplit("/", 1)[1]

    def headers(self, token: str | None = None) -> dict[str, str]:
        """What a page of this server sends along."""
        return {"Origin": ORIGIN, "X-CSRF-Token": self.keys.csrf(token or self.token)}

    def post(self, path: str, **body: Any) -> httpx2.Response:
        return self.client.post(f"{self.link}/{path}", json=body, headers=self.headers())

    def state(self) -> dict[str, Any]:
        return dict(self.client.get(f"{self.link}/state").json())

    def checked(self) -> dict[str, Any]:
        """The state after the checks of screen and plates."""
        self.post("screen", pixel_ratio=2, fits=2)
        return dict(self.post("plates", read=["1", "", "3", ""]).json())

    def answer(self, state: dict[str, Any], choice: str = "left") -> httpx2.Response:
        return self.post("answer", trial=state["trial"], choice=choice, response_ms=900)

    def picture(self, state: dict[str, Any], role: str) -> httpx2.Response:
        return self.client.get(f"{self.link}/picture/{state['pictures'][role]}.png")


class Served:
    """A study, its database and a client of its app."""

    def __init__(self, folder: Path, comparisons: int = 20) -> None:
        self.folder, self.study, self.comparisons = folder, Study.read(folder), comparisons
        self.keys = Keys.of(folder)
        self.start()

    def start(self) -> None:
        """Begin anew with what is in the folder."""
        self.database = Database(self.folder)
        app = make_app(
            self.folder, self.study, self.database, self.keys, self.comparisons, LOCAL_HOSTS
        )
        self.client = TestClient(app, base_url=ORIGIN)

    def join(self) -> Person:
        return Person(self.client, self.keys)
