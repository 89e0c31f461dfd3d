"""Draws the diagrams of the site as SVG files in docs/pictures/.

    python docs/diagrams.py

Lines and text take the colours of the page that contains the SVG, or those that the reader's system
prefers if it is shown as an image. All are narrow, so that text stays legible on a phone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

PICTURES = Path(__file__).parent / "pictures"
WIDTH = 440
"""Width of all diagrams in the SVG's units; text is 13 of them high."""
LIGHT = "--ink: #222; --soft: #999; --fill: #f3f3f3; --accent: #00796b;"
DARK = "--ink: #ddd; --soft: #777; --fill: #262626; --accent: #4db6ac;"
SCHEMES = f"""
.diagram {{ {LIGHT} }}
@media (prefers-color-scheme: dark) {{ .diagram {{ {DARK} }} }}
[data-md-color-scheme=default] .diagram {{ {LIGHT} }}
[data-md-color-scheme=slate] .diagram {{ {DARK} }}
"""
"""Colours by the scheme of the system and, on the site, by the one that its reader chose."""
STYLE = """
.diagram { font-family: sans-serif; font-size: 13px; color: var(--ink); max-width: 38rem; }
.diagram text { fill: var(--ink); stroke: none; text-anchor: middle; }
.diagram .small { font-size: 11px; }
.diagram .name { font-weight: bold; }
.diagram .box { fill: var(--fill); stroke: var(--soft); }
.diagram .network { stroke: var(--accent); stroke-width: 2; }
.diagram .data { fill: none; stroke-dasharray: 4 3; }
.diagram .arrow { fill: none; stroke: var(--ink); stroke-width: 1.3; }
.diagram .head { fill: var(--ink); stroke: none; }
"""
Point = tuple[float, float]


@dataclass
class Drawing:
    """An SVG image of WIDTH by `height`, with a title for readers of screens."""

    title: str
    height: int
    parts: list[str] = field(default_factory=list)

    def box(
        self, x: float, y: float, w: float, lines: Sequence[str], kind: str = "", h: float = 0
    ) -> None:
        """A box with a name and lines of explanation. `kind` is `network`, `data` or nothing."""
        h = h or 14 + 16 * len(lines)
        self.parts.append(
            f'<rect class="box {kind}" x="{x}" y="{y}" width="{w}" height="{h}" rx="5"/>'
        )
        top = y + h / 2 - 8 * (len(lines) - 1) + 4.5
        for number, line in enumerate(lines):
            self.text(x + w / 2, top + 16 * number, line, "small" if number else "name")

    def text(self, x: float, y: float, line: str, kind: str = "small") -> None:
        """A centred line of text."""
        self.parts.append(f'<text class="{kind}" x="{x}" y="{y}">{escape(line)}</text>')

    def arrow(self, *points: Point) -> None:
        """A line through points, with a head at the last. The last part is level or upright."""
        (x0, y0), (x, y) = points[-2:]
        way = "M" + " L".join(f"{a} {b}" for a, b in points)
        dx, dy = (x > x0) - (x < x0), (y > y0) - (y < y0)
        head = f"{x},{y} {x - 7 * dx - 4 * dy},{y - 7 * dy - 4 * dx} " + (
            f"{x - 7 * dx + 4 * dy},{y - 7 * dy + 4 * dx}"
        )
        self.parts += [
            f'<path class="arrow" d="{way}"/>',
            f'<polygon class="head" points="{head}"/>',
        ]

    def svg(self) -> str:
        """The image as text, without empty lines, so that Markdown takes it as one block."""
        return (
            f'<svg class="diagram" xmlns="http://www.w3.org/2000/svg" role="img" '
            f'viewBox="0 0 {WIDTH} {self.height}">\n<title>{escape(self.title)}</title>\n'
            f"<style>{SCHEMES}{STYLE.lstrip()}</style>\n" + "\n".join(self.parts) + "\n</svg>\n"
        )


def data_flow() -> Drawing:
    """From a space, published times and photographs to an app."""
    d = Drawing("Data flow of a search, from a space and photographs to an app", 560)
    d.box(5, 5, 135, ["Space", "architectures,", "YAML"], "data")
    d.box(152, 5, 135, ["Published times", "of networks", "on phones"], "data")
    d.box(300, 5, 135, ["Photographs", "yours, or CC0 crops", "of the package"], "data")
    d.arrow((219, 67), (219, 92))
    d.box(100, 92, 240, ["Latency predictor", "ms with intervals, of the whole space"])
    d.arrow((72, 67), (72, 115), (100, 115))
    d.arrow((219, 138), (219, 154))
    d.box(100, 154, 240, ["Screen", "bounds on time, size and memory"])
    d.arrow((125, 200), (125, 220))
    d.box(40, 220, 170, ["Sampler, in Optuna", "largest expected", "hypervolume improvement"], h=64)
    d.box(
        250, 220, 185, ["Ray workers", "code held-out crops with", "a slice of the supernet"], h=64
    )
    d.arrow((210, 240), (250, 240))
    d.arrow((250, 266), (210, 266))
    d.text(230, 234, "ask")
    d.text(230, 281, "tell")
    d.arrow((367, 67), (367, 220))
    d.arrow((125, 284), (125, 312))
    d.box(40, 312, 395, ["Front and report", "BD-rate against predicted decode time; you choose"])
    d.arrow((237, 358), (237, 384))
    d.box(40, 384, 395, ["promote", "full training of a shortlist, with Ray"])
    d.arrow((130, 430), (130, 456))
    d.arrow((345, 430), (345, 456))
    d.box(40, 456, 185, ["export", "Core ML packages, ONNX,", "integer tables"])
    d.box(250, 456, 185, ["encode, decode, bench", "real files, beside", "JPEG, AVIF and others"])
    d.arrow((132, 518), (132, 538))
    d.text(132, 553, "an iPhone app")
    d.arrow((342, 518), (342, 538))
    d.text(342, 553, "files on this computer")
    return d


def codec() -> Drawing:
    """The networks and integer parts of encoder and decoder."""
    d = Drawing("The codec: networks and integer parts of encoder and decoder", 496)
    d.box(150, 5, 140, ["Tile 512x512"], "data")
    d.arrow((220, 35), (220, 58))
    d.box(110, 58, 220, ["Analysis", "chains at strides 4, 8, 16"], "network")
    d.arrow((160, 104), (160, 130))
    d.text(120, 121, "latent y")
    d.arrow((330, 81), (380, 81), (380, 130))
    d.box(60, 130, 200, ["Context model", "mean and width of each symbol"], "network")
    d.box(300, 130, 135, ["Hyper-encoder", "stride 64"], "network")
    d.arrow((300, 153), (260, 153))
    d.text(281, 146, "z")
    d.arrow((160, 176), (160, 216))
    d.text(128, 199, "symbols")
    d.arrow((367, 176), (367, 216))
    d.text(355, 199, "z")
    d.box(290, 216, 145, ["Scale path", "integers: a table", "for each symbol"])
    d.box(60, 216, 200, ["rANS", "integers"], h=62)
    d.arrow((290, 247), (260, 247))
    d.arrow((160, 278), (160, 304))
    d.box(60, 304, 375, ["Payload of the tile, in the file"], "data")
    d.arrow((160, 334), (160, 356))
    d.box(5, 356, 430, ["rANS and scale path, backwards", "the same integers on every machine"])
    d.arrow((110, 402), (110, 426))
    d.text(160, 418, "symbols, z")
    d.box(5, 426, 210, ["Context loop", "symbols to latent"], "network")
    d.arrow((215, 449), (240, 449))
    d.box(240, 426, 195, ["Synthesis", "chains at strides 16, 8, 4"], "network")
    d.text(220, 491, "Thick frames: networks on the Neural Engine. Others: integers on the CPU.")
    return d


def tile() -> Drawing:
    """A tile from the camera to the screen."""
    d = Drawing("The way of a tile from a photograph to the screen", 440)
    steps = [
        (["Photograph", "upright, 8-bit sRGB"], "data"),
        (["Tile 512x512", "504 px and a margin of 4 px"], "data"),
        (["Encoder network", "one call, Neural Engine"], "network"),
        (["Symbols and z", "whole numbers"], "data"),
        (["Scale path, CPU", "z to tables, in integers"], ""),
        (["rANS, CPU", "tables to bytes"], ""),
    ]
    back = [
        (["Picture", "504x504 px of each tile"], "data"),
        (["Tile 512x512", "its margin is cut off"], "data"),
        (["Decoder network", "one call, Neural Engine"], "network"),
        (["Symbols and z", "exactly the same"], "data"),
        (["rANS, CPU", "bytes to symbols"], ""),
        (["Scale path, CPU", "z to tables, in integers"], ""),
    ]
    for number, ((down, kind), (up, other)) in enumerate(zip(steps, back, strict=True)):
        y = 24 + 64 * number
        d.box(5, y, 200, down, kind)
        d.box(235, y, 200, up, other)
        d.arrow((105, y + 46), (105, y + 64))
        d.arrow((335, y + 64), (335, y + 46))
    d.text(105, 15, "encode", "name")
    d.text(335, 15, "decode", "name")
    d.box(5, 408, 430, ["Payload of the tile, with its length and CRC-32, in the file"], h=28)
    return d


def file() -> Drawing:
    """The parts of a compressed file."""
    d = Drawing("The parts of a compressed file", 266)
    d.box(5, 20, 90, ["Header", "27 bytes"])
    d.box(95, 20, 105, ["Tile table", "8 per tile + 4"])
    for number, name in enumerate(("tile 1", "tile 2", "...", "tile N")):
        d.box(200 + 59 * number, 20, 58, [name], h=46)
    d.text(318, 13, "payloads, row by row")
    d.parts += ['<path class="arrow" d="M5 66 L5 92"/>', '<path class="arrow" d="M95 66 L435 92"/>']
    cells = (("PCDX", "4"), ("version", "1"), ("quality", "2"), ("width", "4"), ("height", "4"))
    cells += (("model id", "8"), ("CRC-32", "4"))
    for number, (name, size) in enumerate(cells):
        d.box(5 + 61.4 * number, 92, 61.4, [name, f"{size} B"])
    d.text(220, 158, "An entry of the tile table", "name")
    d.box(100, 166, 120, ["length", "4 B"])
    d.box(220, 166, 120, ["CRC-32", "4 B"])
    d.text(220, 236, "A payload is one rANS stream: z, flags of blocks, symbols of the latent.")
    d.text(
        220, 252, "In version 2, EXIF and ICC profile lie between the tile table and the payloads."
    )
    return d


DIAGRAMS: dict[str, Callable[[], Drawing]] = {
    "data_flow": data_flow,
    "codec": codec,
    "tile": tile,
    "file": file,
}


def main() -> None:
    """Write all diagrams."""
    for name, draw in DIAGRAMS.items():
        (PICTURES / f"{name}.svg").write_text(draw().svg())


if __name__ == "__main__":
    main()
