"""The recipes of docs/statistics.md a second time: naive, from the text alone, as an oracle for the tests.

Errors are floats, smaller is better. A diverged seed is +inf: behind every finite error, level with another diverged one.
``p`` as an argument is a two-sided ``p(x, y)``, in general R1's. A verdict is an adjusted p of at most 0.05.
Short and slow on purpose: nothing here is cached or shared with ``analysis``.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import chi2, norm, rankdata, t

PValue = Callable[[np.ndarray, np.ndarray], float]

LEVEL = 0.05
PACK = 10
SLACK = 1e-9  # a statistic this little below the observed one counts as reaching it


def errors(values: ArrayLike) -> np.ndarray:
    """One-dimensional floats without nan; +inf is a diverged seed."""
    array = np.asarray(values, dtype=float)
    if array.ndim != 1 or np.isnan(array).any() or np.isneginf(array).any():
        raise ValueError("errors are one row of finite numbers or +inf")
    return array


def win(a: float, b: float) -> float:
    """1 if a beats b, 1/2 if they are level (two diverged are), else 0."""
    return 1.0 if a < b else 0.5 if a == b else 0.0


# R1, two samples


def placements(x: ArrayLike, y: ArrayLike) -> tuple[float, float]:
    """R1, above step 1: theta = P(x < y) + P(x = y)/2 and its variance v, from midranks.

    The sums are of half-integers, so that theta = 0, 1/2, 1 and v = 0 come out exactly.
    """
    x, y = errors(x), errors(y)
    n, m = len(x), len(y)
    if n < 2 or m < 2:
        raise ValueError("a variance needs two seeds")
    pooled = rankdata(np.concatenate([x, y]))
    beaten_x = pooled[:n] - rankdata(x)  # by how many of y
    beaten_y = pooled[n:] - rankdata(y)  # by how many of x
    theta = beaten_y.sum() / (n * m)
    v = np.var(beaten_x, ddof=1) / m**2 / n + np.var(beaten_y, ddof=1) / n**2 / m
    return float(theta), float(v)


def c_statistic(x: ArrayLike, y: ArrayLike) -> float:
    """R1, steps 1 and 3."""
    theta, v = placements(x, y)
    if theta in (0, 1):
        return math.inf
    if theta == 0.5:
        return 0.0  # also 0/0
    return 2 * abs(theta - 0.5) * math.sqrt(theta * (1 - theta) / v)


def d_statistic(x: ArrayLike, y: ArrayLike) -> float:
    """R1, steps 2 and 3."""
    theta, v = placements(x, y)
    if theta in (0, 1):
        return math.inf
    n, m = np.size(x), np.size(y)
    return abs(theta - 0.5) / math.sqrt(v + 1 / (n * (n - 1)) + 1 / (m * (m - 1)))


def all_relabellings(x: ArrayLike, y: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """R1, step 4, all ways: C and D of each of the C(n + m, n) ways to call n of the pooled seeds x."""
    pooled = np.concatenate([errors(x), errors(y)])
    c, d = [], []
    for chosen in itertools.combinations(range(len(pooled)), np.size(x)):
        new_x, new_y = pooled[list(chosen)], np.delete(pooled, chosen)
        c.append(c_statistic(new_x, new_y))
        d.append(d_statistic(new_x, new_y))
    return np.array(c), np.array(d)


def reached(statistics: ArrayLike, observed: float) -> int:
    """R1, step 4: how many relabelled statistics reach the observed one."""
    return sum(value >= observed - SLACK for value in np.asarray(statistics, dtype=float))


def floor(n: int, m: int) -> float:
    """R1, step 5: no p below this is right for every pair of distributions."""
    return 2.0 ** (1 - min(n, m))


def coin(x: ArrayLike, y: ArrayLike) -> float:
    """R1, step 5: the floor, raised where the seeds of a sample may be tosses of an unfair coin: none ahead of more than a share s."""
    x, y = errors(x), errors(y)
    ahead, behind = (x, y) if placements(x, y)[0] >= 0.5 else (y, x)
    most = max(np.mean([win(seed, rival) for rival in behind]) for seed in ahead)  # of the others that one seed ahead beats
    least = max(np.mean([win(rival, seed) for rival in ahead]) for seed in behind)  # of the others that beat one seed behind
    tosses = [(1 / (2 * max(share, 0.5))) ** size for share, size in ((most, len(ahead)), (least, len(behind)))]
    lumps = [sign_test(other, np.full(len(other), one[0])) for one, other in ((x, y), (y, x)) if np.all(one == one[0])]
    return float(max(min(1.0, 2 * max(tosses)), *lumps, 0.0))


def largest(x: ArrayLike, y: ArrayLike, p_c: float, p_d: float) -> float:
    """R1, step 5: the largest of the four parts."""
    parts = [p_c, p_d, coin(x, y)]
    if placements(x, y)[0] not in (0, 1):
        parts.append(float(chi2.sf(c_statistic(x, y) ** 2, 1)))
    return max(parts)


def p_exact(x: ArrayLike, y: ArrayLike) -> float:
    """R1's p with all relabellings: the share of them, the one observed among them, that reach it."""
    if min(np.size(x), np.size(y)) < 2:
        return 1.0  # the floor
    c_star, d_star = all_relabellings(x, y)
    p_c = reached(c_star, c_statistic(x, y)) / len(c_star)
    p_d = reached(d_star, d_statistic(x, y)) / len(d_star)
    return largest(x, y, p_c, p_d)


def p_from(x: ArrayLike, y: ArrayLike, c_star: ArrayLike, d_star: ArrayLike) -> float:
    """R1's p with the B statistics of random relabellings: (1 + how many reach it)/(B + 1)."""
    if min(np.size(x), np.size(y)) < 2:
        return 1.0  # the floor
    p_c = (1 + reached(c_star, c_statistic(x, y))) / (np.size(c_star) + 1)
    p_d = (1 + reached(d_star, d_statistic(x, y))) / (np.size(d_star) + 1)
    return largest(x, y, p_c, p_d)


def theta_interval(x: ArrayLike, y: ArrayLike, c_quantile: float, steps: int = 20_000) -> tuple[float, float]:
    """R1, interval of theta: the hull of all t, on a grid of 1/steps, that the inequality keeps.

    ``c_quantile`` is the 0.95 quantile of the relabelled C; where it is infinite every t is kept.
    """
    n, m = np.size(x), np.size(y)
    theta, v = placements(x, y)
    c = max(1.96, c_quantile)
    if math.isinf(c):
        return 0.0, 1.0
    k = v / (theta * (1 - theta)) if v > 0 and theta not in (0, 1) else 1 / min(n, m)
    half = (n + m) / 2
    kept = [theta]
    for i in range(steps + 1):
        at = i / steps
        newcombe = at * (1 - at) / (n * m) * (2 * half - 1 - (3 * half - 3) / ((2 - at) * (1 + at)))
        if (theta - at) ** 2 <= c**2 * max(k * at * (1 - at), newcombe):
            kept.append(at)
    if theta == 1:
        kept.append(0.025 ** (1 / min(n, m)))
    if theta == 0:
        kept.append(1 - 0.025 ** (1 / min(n, m)))
    if floor(n, m) > LEVEL:
        kept.append(0.5)
    return min(kept), max(kept)


def differences(x: ArrayLike, y: ArrayLike) -> list[float]:
    """All a_i - b_j, sorted; two diverged seeds have no difference."""
    return sorted(a - b for a in errors(x) for b in errors(y) if not (math.isinf(a) and math.isinf(b)))


def hodges_lehmann(x: ArrayLike, y: ArrayLike) -> float:
    """R1, effect in the unit of the errors: the median of all a_i - b_j; nan if all of both diverged."""
    every = differences(x, y)
    if not every:
        return math.nan
    return (every[(len(every) - 1) // 2] + every[len(every) // 2]) / 2  # never -inf + inf: the finite ones lie between


def shift_interval(x: ArrayLike, y: ArrayLike, p: PValue) -> tuple[float, float]:
    """R1, interval of the shift: the hull of the d with p(x - d, y) >= 0.05; (nan, nan) if no stretch has such a d.

    Between two neighbouring differences a_i - b_j the ranks of x - d and y do not change, so one d in between
    stands for the stretch. Stretches as short as rounding are left out.
    """
    x, y = errors(x), errors(y)
    finite = [d for d in differences(x, y) if math.isfinite(d)]
    if not finite:
        return (-math.inf, math.inf) if p(x, y) >= LEVEL else (math.nan, math.nan)
    tiny = 1e-9 * max(abs(d) for d in finite)
    ends = [-math.inf, *finite, math.inf]
    kept: list[float] = []
    for left, right in itertools.pairwise(ends):
        if left == -math.inf:
            inside = right - 1 - 2 * abs(right)
        elif right == math.inf:
            inside = left + 1 + 2 * abs(left)
        elif right - left <= tiny:
            continue
        else:
            inside = (left + right) / 2
        if p(x - inside, y) >= LEVEL:
            kept += [left, right]
    return (min(kept), max(kept)) if kept else (math.nan, math.nan)


def sign_test(a: ArrayLike, b: ArrayLike) -> float:
    """R1, paired seeds: exact two-sided sign test of a_i < b_i; level pairs, two diverged too, are dropped."""
    wins = [win(i, j) for i, j in zip(errors(a), errors(b), strict=True) if i != j]
    n, most = len(wins), int(max(sum(wins), len(wins) - sum(wins)))
    return min(1.0, 2 * sum(math.comb(n, k) for k in range(most, n + 1)) / 2**n)


# R2, means


def ratio(difference: float, error: float) -> float:
    """A t statistic; 0/0 counts as 0."""
    if error > 0:
        return difference / error
    return math.copysign(math.inf, difference) if difference else 0.0


def standard_error(x: np.ndarray, y: np.ndarray) -> float:
    """Welch's, of the difference of means."""
    return math.sqrt(np.var(x, ddof=1) / len(x) + np.var(y, ddof=1) / len(y))


def bootstrap_t(x: ArrayLike, y: ArrayLike, draws_x: ArrayLike, draws_y: ArrayLike) -> tuple[float, float, float]:
    """R2: p, low, high of mean(x) - mean(y) by the equal-tailed bootstrap-t; the draws are (B, n) and (B, m) indices.

    Each tail counts the observed one, (1 + #)/(B + 1), and the interval takes the order statistics that belong to it:
    the 0.025 (B + 1)-th from either end.
    """
    x, y = errors(x), errors(y)
    if np.isinf(x).any() or np.isinf(y).any():
        raise ValueError("a diverged seed has no mean")
    difference, error = float(x.mean() - y.mean()), standard_error(x, y)
    observed = ratio(difference, error)
    star = []
    for draw_x, draw_y in zip(np.asarray(draws_x), np.asarray(draws_y), strict=True):
        new_x, new_y = x[draw_x], y[draw_y]
        star.append(ratio(float(new_x.mean() - x.mean() - new_y.mean() + y.mean()), standard_error(new_x, new_y)))
    star.sort()
    below = (1 + sum(value <= observed for value in star)) / (len(star) + 1)
    above = (1 + sum(value >= observed for value in star)) / (len(star) + 1)
    tail = max(1, math.floor(0.025 * (len(star) + 1) + SLACK))
    return min(1.0, 2 * min(below, above)), difference - star[-tail] * error, difference - star[tail - 1] * error


def welch(x: ArrayLike, y: ArrayLike) -> tuple[float, float, float]:
    """R2: p, low, high of mean(x) - mean(y) by Welch's t."""
    x, y = errors(x), errors(y)
    difference, error = float(x.mean() - y.mean()), standard_error(x, y)
    if error == 0:
        return (0.0 if difference else 1.0), difference, difference
    of_x, of_y = np.var(x, ddof=1) / len(x), np.var(y, ddof=1) / len(y)
    df = (of_x + of_y) ** 2 / (of_x**2 / (len(x) - 1) + of_y**2 / (len(y) - 1))
    reach = float(t.ppf(0.975, df)) * error
    return float(2 * t.sf(abs(difference) / error, df)), difference - reach, difference + reach


def means(x: ArrayLike, y: ArrayLike, draws_x: ArrayLike, draws_y: ArrayLike) -> tuple[float, float, float]:
    """R2: the larger p of Welch and bootstrap-t, and the wider side of the two intervals on either side."""
    p_1, low_1, high_1 = bootstrap_t(x, y, draws_x, draws_y)
    p_2, low_2, high_2 = welch(x, y)
    return max(p_1, p_2), min(low_1, low_2), max(high_1, high_2)


# R3, read after every pack


def pack_sums(a: ArrayLike, b: ArrayLike, pairings: Sequence[int] = range(PACK)) -> list[list[float]]:
    """R3: S_h of every complete pack of both models, for each pairing h."""
    a, b = errors(a), errors(b)
    packs = min(len(a), len(b)) // PACK
    return [[sum(win(a[PACK * g + i], b[PACK * g + (i + h) % PACK]) for i in range(PACK)) for h in pairings] for g in range(packs)]


def log_powers(base: np.ndarray, under: float, exponents: np.ndarray) -> np.ndarray:
    """log (base/under)^exponent for each base (rows) and exponent (columns): 0 for exponent 0, else inf for under 0."""
    if under == 0:
        return np.tile(np.where(exponents == 0, 0.0, np.inf), (len(base), 1))
    return np.outer(np.log(base) - math.log(under), exponents)


def log_evidence(sums: Sequence[Sequence[float]], at: float) -> list[float]:
    """R3: log E_g of theta = at (0 and 1 too) after each pack."""
    bets = np.arange(1, 50) / 50
    prior = bets**2 * (1 - bets) ** 2
    log_prior = np.log(prior / prior.sum())
    wealth = np.zeros(len(bets))
    evidence = []
    for pack in sums:
        s = np.array(pack)
        logs = log_powers(bets, at, s) + log_powers(1 - bets, 1 - at, PACK - s)
        wealth = wealth + np.logaddexp.reduce(logs, axis=1) - math.log(len(s))
        evidence.append(float(np.logaddexp.reduce(log_prior + wealth)))
    return evidence


def anytime(a: ArrayLike, b: ArrayLike, pairings: Sequence[int] = range(PACK)) -> tuple[float, float, float, int]:
    """R3: anytime p of theta = 1/2, the ends of the confidence sequence on the grid 0, 0.001, ... 1, the packs read.

    (nan, nan) are the ends of an empty one.
    """
    sums = pack_sums(a, b, pairings)
    if not sums:
        return 1.0, 0.0, 1.0, 0
    p = min(1.0, math.exp(-max(log_evidence(sums, 0.5))))
    kept = [i / 1000 for i in range(1001) if max(log_evidence(sums, i / 1000)) < math.log(1 / LEVEL)]
    return p, min(kept, default=math.nan), max(kept, default=math.nan), len(sums)


def anytime_paired(a: ArrayLike, b: ArrayLike) -> tuple[float, float, float, int]:
    """R3 for seeds that share initial parameters: the pairing h = 0 only."""
    return anytime(a, b, [0])


# Holm, R4, best of several


def holm(p: ArrayLike) -> np.ndarray:
    """Holm's adjusted p, in the order given."""
    p = np.asarray(p, dtype=float)
    adjusted, running = np.empty(len(p)), 0.0
    for rank, index in enumerate(np.argsort(p, kind="stable")):
        running = max(running, min(1.0, (len(p) - rank) * p[index]))
        adjusted[index] = running
    return adjusted


def left_out(samples: Mapping[str, ArrayLike], p: PValue) -> set[str]:
    """R4: Holm over all pairs; a model is out if another beats it."""
    pairs = list(itertools.combinations(samples, 2))
    out = set()
    for (a, b), adjusted in zip(pairs, holm([p(errors(samples[a]), errors(samples[b])) for a, b in pairs]), strict=True):
        if adjusted <= LEVEL:
            theta, _ = placements(samples[a], samples[b])
            out.add(b if theta > 0.5 else a)
    return out


def one_sided(x: ArrayLike, y: ArrayLike, p: PValue) -> float:
    """R5: the p of "x beats y" from the two-sided one: p/2 where theta > 1/2, else 1."""
    return p(errors(x), errors(y)) / 2 if placements(x, y)[0] > 0.5 else 1.0


def left_out_hsu(samples: Mapping[str, ArrayLike], p: PValue) -> set[str]:
    """R4 by Hsu's promise: out if some other beats it one-sided at 0.05/(k - 1)."""
    limit = LEVEL / (len(samples) - 1)
    return {i for i in samples if any(one_sided(samples[j], samples[i], p) <= limit for j in samples if j != i)}


# R5, no worse, equivalent


def no_worse(x: ArrayLike, y: ArrayLike, margin_percent: float, p: PValue) -> float:
    """R5: p of "x is no worse than y by more than the margin"."""
    return one_sided(errors(x) / (1 + margin_percent / 100), y, p)


def equivalent(x: ArrayLike, y: ArrayLike, margin_percent: float, p: PValue) -> float:
    """R5: both ways, the larger p."""
    return max(no_worse(x, y, margin_percent, p), no_worse(y, x, margin_percent, p))


# R6, an ordered factor


def trend(groups: Sequence[ArrayLike], paired: bool = False) -> tuple[dict[tuple[int, int], float], float, float, float]:
    """R6: theta_kl for k < l, J, V, C_J. The groups stand from the shortest level to the longest.

    ``paired``: the i-th seeds of all levels belong together, and V is that of their sums.

    The psi are counted in units of 1/(product of the sizes), where they are half-integers: V = 0 comes out exactly.
    """
    levels = [errors(group) for group in groups]
    k = len(levels)
    if k < 2 or min(len(level) for level in levels) < 2:
        raise ValueError("a trend needs two levels of two seeds")
    pairs = k * (k - 1) / 2
    theta = {
        (i, j): sum(win(longer, shorter) for longer in levels[j] for shorter in levels[i]) / (len(levels[i]) * len(levels[j]))
        for i, j in itertools.combinations(range(k), 2)
    }
    unit = math.prod(len(level) for level in levels)
    J, V = 0.0, 0.0
    of_seed = np.zeros(max(len(level) for level in levels))
    for i, level in enumerate(levels):
        psi: list[float] = []
        for seed in level:
            total = 0.0
            for j, other in enumerate(levels):
                if j < i:
                    total += sum(win(seed, rival) for rival in other) * (unit // len(other))
                if j > i:
                    total += sum(win(rival, seed) for rival in other) * (unit // len(other))
            psi.append(total)
        if paired:
            of_seed += np.array(psi)
        V += float(np.var(psi, ddof=1)) / unit**2 / len(level) / pairs**2
        J += sum(psi) / unit / len(level) / pairs / 2  # every pair is seen from both its ends
    J -= 0.5
    if paired:
        V = float(np.var(of_seed, ddof=1)) / unit**2 / len(of_seed) / pairs**2
    if abs(J) < 1e-12:
        return theta, 0.0, V, 0.0  # also 0/0
    if V == 0:
        return theta, J, V, math.inf
    return theta, J, V, abs(J) * math.sqrt(max(0.0, 1 - 4 * J * J) / V)


def assignments(pooled: np.ndarray, sizes: Sequence[int]) -> Iterator[list[np.ndarray]]:
    """Every distinct way to hand the pooled seeds to levels of these sizes."""
    if len(sizes) == 1:
        yield [pooled]
        return
    for chosen in itertools.combinations(range(len(pooled)), sizes[0]):
        for rest in assignments(np.delete(pooled, chosen), sizes[1:]):
            yield [pooled[list(chosen)], *rest]


def trend_from(groups: Sequence[ArrayLike], share: float, paired: bool = False) -> float:
    """R6's p, given the permutation p of C_J."""
    return max(share, float(2 * norm.sf(trend(groups, paired)[3])), 2.0 ** (1 - min(np.size(group) for group in groups)))


def trend_exact(groups: Sequence[ArrayLike]) -> float:
    """R6's p with all relabellings of the pooled seeds; for tiny groups."""
    pooled = np.concatenate([errors(group) for group in groups])
    c_star = [trend(ways)[3] for ways in assignments(pooled, [np.size(group) for group in groups])]
    return trend_from(groups, reached(c_star, trend(groups)[3]) / len(c_star))


def trend_paired_exact(matrix: ArrayLike) -> float:
    """R6's p for seeds (rows) that share initial parameters over all levels (columns): levels permuted within a seed, all ways."""
    rows = [errors(row) for row in np.asarray(matrix, dtype=float)]
    groups = list(np.transpose(rows))
    orders = list(itertools.permutations(range(len(groups))))
    c_star = []
    for way in itertools.product(orders, repeat=len(rows)):
        moved = np.array([row[list(order)] for row, order in zip(rows, way, strict=True)])
        c_star.append(trend(list(moved.T), paired=True)[3])
    return trend_from(groups, reached(c_star, trend(groups, paired=True)[3]) / len(c_star), paired=True)


def shortest(groups: Sequence[ArrayLike], margin_percent: float, p: PValue) -> tuple[int | None, np.ndarray]:
    """R6, shortest K not worse than the best: its index (None if none passes) and the p of every K after Holm over the levels."""
    own = [max(no_worse(group, other, margin_percent, p) for j, other in enumerate(groups) if j != i) for i, group in enumerate(groups)]
    adjusted = holm(own)
    return next((i for i, value in enumerate(adjusted) if value <= LEVEL), None), adjusted
