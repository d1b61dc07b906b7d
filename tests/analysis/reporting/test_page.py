"""The page as a browser shows it: nothing is cut off at 1400 and at 400 pixels, light and dark, and nothing that WCAG asks is broken."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.reporting import build, drawing
from analysis.reporting.drawing import PALETTE
from ltm import cells, data
from ltm.cells.record import record
from sweeps.store import tables
from sweeps.store.ledger import Ledger
from tests import waiting

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")

CHECK = Path(__file__).parent / "check.js"
STYLE = (Path(build.__file__).parent / "page.css").read_text()
ARFIMA = {"name": "arfima", "kind": "arfima", "length": 301, "train": 150, "validation": 75}
LONG = "mymodule.cells:AnOwnCellWithALongName"


@pytest.fixture(scope="module")
def browser() -> str:
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None and os.environ.get("CI") == "1":
        pytest.fail("no Chromium on the path; CI installs it (apt-get install chromium)")
    if found is None:
        pytest.skip("no Chromium on the path (apt-get install chromium)")
    return found


def checked(browser: str, folder: Path, *pages: Path) -> list[dict[str, object]]:
    """What ``check.js`` finds in each page, in each of both schemes at each of both widths."""
    calls = json.dumps([page.as_uri() for page in pages])
    outer = folder / "outer.html"
    outer.write_text(f"<!doctype html><title>check</title><body><script>{CHECK.read_text()}\ncheck({calls})</script></body>")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files", "--virtual-time-budget=60000", "--dump-dom"]
    done = subprocess.run([browser, *flags, outer.as_uri()], capture_output=True, text=True, timeout=waiting.LONG, check=True)
    (told,) = re.findall(r"<pre>(.*)</pre>", done.stdout, re.S)
    found: list[dict[str, object]] = json.loads(html.unescape(told))
    return found


def written(folder: Path, errors: dict[str, dict[str, np.ndarray]], networks: bool = False) -> Path:
    """The report of a made-up study: errors by series (``arfima length=301``, ``arfima path=3``) and condition (``mrnn K=5``), NaN for a diverged seed; with networks, as yet
    untrained, or without."""
    book, columns = Ledger(folder), [name for name in tables.COLUMNS if name != "pack"]
    for dataset, by_condition in errors.items():
        fingerprint = data.build(ARFIMA).fingerprint if networks else f"data of {dataset}"
        called, _, setting = dataset.partition(" ")
        key, _, value = setting.partition("=")
        of_data = ARFIMA | ({key: int(value)} if key else {})
        for name, values in by_condition.items():
            model, _, K = name.partition(" K=")
            parameters, step, seeds = np.zeros((len(values), 3), np.float32), None, range(len(values))
            config = {"dataset": of_data, "model": {"name": model, "cell": model, "hidden_size": 1, **({"K": int(K)} if K else {})}}
            if networks:
                network = cells.build(config["model"], data.build(ARFIMA))
                parameters, step = np.stack([network.initial(seed) for seed in seeds]), record(network).digest
            frame = pd.DataFrame({column: pd.Series([None] * len(values), dtype=object) for column in columns})
            frame = frame.assign(
                run_id=[f"{dataset} {name} {seed}" for seed in range(len(values))], condition_id=f"{dataset} {name}", condition=f"{name} / {dataset}",
                model=model, dataset=called, K=pd.array([int(K) if K else None] * len(values), dtype="Int64"), seed=seeds, test_rmse=values, step=step, config=json.dumps(config),
                status=["diverged" if np.isnan(x) else "completed" for x in values], fingerprint=fingerprint, draws=f"{model} {setting if key == 'path' else ''}", code="0.0", engine="cpu",
                engine_version=1, seconds=0.5, epochs=9, best_epoch=5, provenance="made up",
            )  # fmt: skip
            curve = np.geomspace(1, 0.1, 9).astype(np.float32)
            book.write(frame, [(curve, curve)] * len(values), parameters)
        level = float(np.nanmean(np.concatenate(list(by_condition.values()))))
        rows = [
            ("mean", "mean", 1.4),
            ("last value", "last value", 1.2),
            ("ARFIMA", "ARFIMA(2, 0.45, 2)", 0.97),
            ("constant", "constant (hindsight)", 1.35),
        ]
        book.put_baselines(
            [{"fingerprint": fingerprint, "version": 1, "dataset": dataset, "baseline": kind, "label": label, "test_rmse": share * level} for kind, label, share in rows]
        )  # fmt: skip
    return Path(build.write(folder))


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Four studies: three series at three powers of ten with seven models, one of a long name, some seeds diverged; one of a sweep over K with shared starts; one of
    a series of ten lengths; and one of twelve paths."""
    rng = np.random.default_rng(0)
    models = ["rnn", "lstm", "rwa", "mrnn K=100", "mrnnf K=100", "mlstmf K=100", "gru", LONG]
    many = {
        dataset: {name: scale * rng.gamma(40 + i, 1 / 40, 30) for i, name in enumerate(models)}
        for dataset, scale in (("dji", 0.0025), ("a_series_with_quite_a_long_name", 1.0), ("huge", 1e8))
    }
    many["dji"]["rwa"][:5] = np.nan
    many["huge"]["gru"][:] = np.nan
    base = rng.gamma(40, 1 / 40, 30)
    lengths = {"arfima": {f"{model} K={K}": base + 0.001 * K * i for i, model in enumerate(("mrnn", "mlstm")) for K in (25, 50, 75, 100)}}
    folder = tmp_path_factory.mktemp("reports")
    over = {
        f"arfima length={n}": {name: rng.gamma(40 + n // 90, 1 / 40, 20) for name in ("rnn", "lstm", "mrnn K=100")}
        for n in range(300, 1200, 90)
    }
    paths = {f"arfima path={i}": {name: rng.gamma(40 + 2 * j, 1 / 40, 10) for j, name in enumerate(models)} for i in range(12)}
    return [
        written(folder / "many", many),
        written(folder / "lengths", lengths, networks=True),
        written(folder / "over", over),
        written(folder / "paths", paths),
    ]


def test_nothing_is_cut_off_and_nothing_accessible_is_broken(browser: str, reports: list[Path], tmp_path: Path) -> None:
    found = checked(browser, tmp_path, *reports)
    assert [(one["scheme"], one["width"]) for one in found] == 4 * [("light", 1400), ("light", 400), ("dark", 1400), ("dark", 400)]
    assert [line for one in found for line in one["found"]] == []  # type: ignore[attr-defined]


def test_the_check_finds_what_is_broken(browser: str, tmp_path: Path) -> None:
    page = tmp_path / "broken.html"
    page.write_text(
        "<!doctype html><html><head><title></title><style>:root{color-scheme:light dark}</style></head><body><h1>a</h1><h3 id=x>b</h3><p id=x style='color:#888;background:#999'>grey</p>"
        "<div>outside</div><main><table><tr><td>1</td></tr></table><svg viewBox='0 0 9 9' width=90><text x=8 y=5 font-size=4>long words</text></svg>"
        "<a href='#nowhere'>a</a><ul><p>no item</p></ul><details>no summary</details><p style='width:2000px'>wide</p>"
        "<div class=table style='overflow:auto;width:90px'><div style='width:200px'>hidden</div></div></main></body></html>"
    )  # fmt: skip
    for one in checked(browser, tmp_path, page):
        rules = {str(line).partition(":")[0] for line in one["found"]}  # type: ignore[attr-defined]
        assert {
            "lang", "title", "landmarks", "region", "heading order", "duplicate id", "dead link", "picture without words", "table without caption",
            "table without head", "row without head", "details without summary", "list", "wider than the page", "cut off", "text outside of its picture",
            "contrast", "scrolls without keyboard",
        } <= rules  # fmt: skip


def variables(style: str) -> dict[str, str]:
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", style))


def contrast(one: str, other: str) -> float:
    def light(colour: str) -> float:
        parts = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    low, high = sorted((light(one), light(other)))
    return (high + 0.05) / (low + 0.05)


def test_lines_and_words_stand_out_on_either_paper_and_figures_take_the_colours_of_the_page() -> None:
    light, dark = (variables(part) for part in STYLE.split("@media (prefers-color-scheme: dark)")[:2])
    assert [light[f"c{i}"] for i in range(len(PALETTE))] == PALETTE
    assert set(light) == set(dark)
    for colours in (light, dark):
        for name in ("ink", "quiet", "link", *(f"c{i}" for i in range(len(PALETTE)))):
            assert contrast(colours[name], colours["paper"]) >= 4.5
        assert min(contrast(colours["ink"], colours[name]) for name in ("up", "down", "shade")) >= 4.5


def test_a_figure_becomes_part_of_the_page() -> None:
    text = (
        '<svg xmlns="http://www.w3.org/2000/svg" width="72.5pt" height="36pt" viewBox="0 0 72.5 36"><metadata>x</metadata><defs><style type="text/css">*{}</style></defs>'
        f'<g id="g1"><path id="p1" d="M 0.123456 1.987654" style="stroke: {PALETTE[1]}; fill: #000000"/><use xlink:href="#p1"/></g>'
        '<text style="font-size: 9px; font-family: \'A\', sans-serif">0.002450</text></svg>'
    )  # fmt: skip
    found = drawing.inline(text, "acf-0", 'd = 0.3 & "more"')
    assert found.startswith('<svg role="img" aria-label="d = 0.3 &amp; &quot;more&quot;" viewBox="0 0 72.5 36"')
    assert 'd="M 0.12 1.99" style="stroke: var(--c1); fill: currentColor"' in found
    assert '<path id="acf-0-0"' in found
    assert 'href="#acf-0-0"' in found
    assert ">0.002450<" in found  # a label keeps its digits
    assert not any(word in found for word in ("g1", "xmlns", "metadata", "<style", "font-family", "xlink"))


def test_figures_have_a_power_of_ten_and_words_for_those_who_do_not_see_them(reports: list[Path]) -> None:
    many, lengths, over, _ = (page.read_text() for page in reports)
    assert "mean × 100 (95 %)" in many
    assert "mean × 1e-6 (95 %)" in many
    assert "35 diverged (last in every rank" in many
    assert "filter_length_paired.csv" not in lengths  # a figure, whose numbers are no table of the page
    assert "arfima, paired difference from the shortest K: MLSTM from 0 to " in lengths
    assert "memory parameter d = " in lengths
    assert "arfima, length from 300 to 1110: " in over
