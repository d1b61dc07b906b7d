"""A part of a report: words, tables and figures, before they are laid out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

from analysis.reporting.drawing import Drawing


@dataclass(frozen=True, eq=False)
class Table:
    """A table as people read it.

    Attributes:
        name: of its files (``tables/NAME.md``).
        caption: what a row is, and what its columns mean; HTML.
        shown: cells as on the page; a first column of names.
        source: name of the CSV that has it with all digits; its own name where None.
    """

    name: str
    caption: str
    shown: pd.DataFrame
    source: str | None = None


@dataclass(frozen=True, eq=False)
class Plot:
    """A figure as people see it.

    Attributes:
        name: of its files, which have all panels.
        caption: what is drawn; HTML.
        drawing: draws it.
        finds: what each panel shows, in a sentence: the text of the picture for those who do not see it.
        panels: those shown here; all where None.
        titled: whether panels have titles.
    """

    name: str
    caption: str
    drawing: Drawing
    finds: Mapping[str, str]
    panels: tuple[str, ...] | None = None
    titled: bool = True


@dataclass
class Section:
    """A part of the report: what is seen at once, and under it what unfolds.

    Attributes:
        text: HTML.
        sentences: claims in words, which unfold.
        more: tables and figures that unfold, under these words.
        kept: tables with all digits, by the name of their CSV.
        beside: the files beside the report that it has read and that still hold.
    """

    title: str
    text: str = ""
    plots: list[Plot] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    sentences: list[str] = field(default_factory=list)
    more: dict[str, list[Table | Plot]] = field(default_factory=dict)
    kept: dict[str, pd.DataFrame] = field(default_factory=dict)
    beside: tuple[str, ...] = ()

    @property
    def every_table(self) -> list[Table]:
        return [*self.tables, *(one for some in self.more.values() for one in some if isinstance(one, Table))]

    @property
    def every_plot(self) -> list[Plot]:
        return [*self.plots, *(one for some in self.more.values() for one in some if isinstance(one, Plot))]

    @property
    def holds_something(self) -> bool:
        return bool(self.text or self.every_table or self.every_plot or self.sentences or self.kept)
