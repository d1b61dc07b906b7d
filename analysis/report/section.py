"""A part of a report: words, tables and figures, before they are laid out."""

from __future__ import annotations

from dataclasses import dataclass, field

import pandas as pd
from matplotlib.figure import Figure


@dataclass
class Section:
    """A part of the report: its words (HTML), tables (as shown, by name), figures by name, the tables kept with all digits, and the files beside
    the report that it has read and that still hold.
    """

    title: str
    text: str = ""
    shown: dict[str, pd.DataFrame] = field(default_factory=dict)
    figures: dict[str, Figure] = field(default_factory=dict)
    kept: dict[str, pd.DataFrame] = field(default_factory=dict)
    beside: tuple[str, ...] = ()
