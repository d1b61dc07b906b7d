"""Figures not yet drawn: the page takes each panel as inline SVG in the page's colours, a file takes all panels together."""

from __future__ import annotations

import html
import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import matplotlib

matplotlib.use("Agg")

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

PALETTE = ["#0072b2", "#c24f00", "#00845f", "#ab5289", "#946600", "#2478ab", "#4d4d4d", "#882255", "#72721f"]
"""Okabe and Ito's colours, told apart by colour-blind readers too, dark enough for thin lines on white; ``page.css`` has each for dark paper."""

QUIET, FAINT = "#555d66", "#d5dae0"
"""Of what is beside the point: labels, and lines behind the data."""

STYLE: dict[Any, Any] = {
    "font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "axes.titlesize": 10, "axes.titleweight": "bold",
    "axes.titlelocation": "left", "axes.facecolor": "none", "figure.facecolor": "none", "legend.frameon": False, "legend.fontsize": 8,
    "svg.fonttype": "none", "svg.hashsalt": "ltm", "pdf.fonttype": 42,
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Drawing:
    """A figure of one or more panels.

    Attributes:
        draw: ``draw(axis, name, position)`` draws a panel; at position 0 it has the legend.
        names: of the panels; their titles.
        size: of a panel, in inches.
        columns: panels in a row of the whole figure.
        legend: whether a panel by itself has the legend.
    """

    draw: Callable[[Axes, str, int], None]
    names: tuple[str, ...] = ("",)
    size: tuple[float, float] = (4.6, 3.0)
    columns: int = 2
    legend: bool = True

    def panel(self, name: str, titled: bool = True) -> Figure:
        """One panel as a figure of its own."""
        return self._figure((name,), 1, titled, 0 if self.legend else 1)

    def whole(self) -> Figure:
        """All panels in one figure."""
        return self._figure(self.names, self.columns)

    def _figure(self, names: tuple[str, ...], columns: int, titled: bool = True, first: int = 0) -> Figure:
        rows, columns = -(-len(names) // columns), min(columns, len(names))
        with matplotlib.rc_context(STYLE):
            figure = Figure(figsize=(self.size[0] * columns, self.size[1] * rows), layout="constrained")
            axes = np.ravel(figure.subplots(rows, columns, squeeze=False))
            for axis in axes[len(names) :]:
                axis.remove()
            for i, (axis, name) in enumerate(zip(axes, names, strict=False)):
                axis.set_title(name if titled else "")
                self.draw(axis, name, first + i)
            if len(names) == 1 and (title := axes[0].get_title(loc="left")):  # from the edge of the panel, where it has more room
                axes[0].set_title("")
                figure.suptitle(title, x=0.01, ha="left", fontsize=10, fontweight="bold")
        return figure


def svg(figure: Figure) -> str:
    """The figure as an SVG element, the same bytes for the same figure."""
    buffer = io.StringIO()
    with matplotlib.rc_context(STYLE):
        lay_out(figure)
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def lay_out(figure: Figure) -> None:
    """Place the axes once; saving would do it twice, and again for every format."""
    if engine := figure.get_layout_engine():
        engine.execute(figure)
        figure.set_layout_engine("none")


def pdf(figure: Figure) -> bytes:
    """The figure as a PDF, the same bytes for the same figure."""
    buffer = io.BytesIO()
    with matplotlib.rc_context(STYLE):
        lay_out(figure)
        figure.savefig(buffer, format="pdf", metadata={"CreationDate": None})
    return buffer.getvalue()


COLOURS = {
    "#000000": "currentColor", QUIET: "var(--quiet)", FAINT: "var(--line)", **{colour: f"var(--c{i})" for i, colour in enumerate(PALETTE)}
}  # fmt: skip


def inline(text: str, key: str, alt: str) -> str:
    """An SVG as part of a page: in its colours and font, its ids its own, read out as one image whose text is ``alt``.

    Args:
        key: a word that no other figure of the page has.
    """
    width = float(re.search(r'width="([\d.]+)pt"', text).group(1))  # type: ignore[union-attr]
    view = re.search(r'viewBox="([^"]+)"', text).group(1)  # type: ignore[union-attr]
    body = text[text.index(">") + 1 :]
    body = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|font-family: [^;\"]+;?|<defs>\s*</defs>", "", body, flags=re.S)
    body = re.sub(r"#[0-9a-f]{6}\b", lambda found: COLOURS.get(found[0], found[0]), body)
    used = {name: f"{key}-{i}" for i, name in enumerate(dict.fromkeys(re.findall(r'(?:url\(|href=")#([^")]+)', body)))}
    body = re.sub(r' id="([^"]+)"', lambda found: f' id="{used[found[1]]}"' if found[1] in used else "", body)
    body = re.sub(r'(url\(|href=")#([^")]+)', lambda found: f"{found[1]}#{used[found[2]]}", body).replace("xlink:href", "href")
    body = re.sub(r"<[^>]+>", lambda tag: re.sub(r"-?\d+\.\d{3,}", lambda found: f"{float(found[0]):.2f}", tag[0]), body)
    body = re.sub(r"<g>\s*</g>|\s+(?=[\n<])", "", body)
    head = f'<svg role="img" aria-label="{html.escape(alt)}" viewBox="{view}" style="max-width:{1.15 * width / 0.75:.0f}px">'
    return head + body
