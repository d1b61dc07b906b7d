"""Long memory: of a series, of residuals, and of a trained network's response. Pure functions of arrays, a file a question.

A series has long memory where its spectrum goes as f^(-2d) near frequency 0 with 0 < d < 1/2; from 1/2 on it is not stationary.
"""

from analysis.statistics.memory.bandwidths import Curve, by_bandwidth
from analysis.statistics.memory.correlation import acf, fractional_acf, ljung_box, ljung_box_each, white_band
from analysis.statistics.memory.exact import differenced, exact_local_whittle
from analysis.statistics.memory.parametric import Fit, arfima, arfima_of
from analysis.statistics.memory.response import Decay, decay
from analysis.statistics.memory.scaling import dfa, dfa_each, lo, rescaled_range, rescaled_range_each
from analysis.statistics.memory.spectral import (
    BANDWIDTH,
    bandwidth,
    detrended,
    gph,
    gph_each,
    local_whittle,
    local_whittle_each,
    periodograms,
    series_of,
)
from analysis.statistics.memory.spurious import CRITICAL, QU_POWER, law_of_qu, qu, qu_each, trim_of

__all__ = [
    "BANDWIDTH", "CRITICAL", "QU_POWER", "Curve", "Decay", "Fit", "acf", "arfima", "arfima_of", "bandwidth", "by_bandwidth", "decay", "detrended", "dfa", "dfa_each",
    "differenced", "exact_local_whittle", "fractional_acf", "gph", "gph_each", "law_of_qu", "ljung_box", "ljung_box_each", "lo", "local_whittle",
    "local_whittle_each", "periodograms", "qu", "qu_each", "rescaled_range", "rescaled_range_each", "series_of", "trim_of", "white_band",
]  # fmt: skip
