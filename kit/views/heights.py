"""How high the steps of a graph are drawn, when their layers and their order are known.

Each layer is fitted to its neighbours in least squares, by the pool of adjacent violators (Ayer and others, "An
empirical distribution function for sampling with incomplete information", 1955); then chains are made straight.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from math import inf

from kit.views.graph import walk

__all__ = ["Item", "Near", "heights", "neighbours"]

FIT_ROUNDS = 24
STRAIGHT_ROUNDS = 16

Item = tuple[str, str, int]  # a step (its name, "", its layer), or where an edge (source, target) passes a layer
Near = Mapping[Item, Sequence[Item]]  # what is beside each item, in the layer before or after
Chain = list[Item]


def heights(
    columns: Sequence[Sequence[Item]], pairs: Sequence[tuple[Item, Item]], apart: Callable[[Item, Item], float]
) -> dict[Item, float]:
    """Give the height of each item's middle: near its neighbours, in a line with them where it has one on either side.

    Args:
        columns: The layers from left to right, each from its upper end down.
        pairs: What is joined, each item with one of the next layer.
        apart: How far the middles of two items of a layer are apart at least, the upper one given first.
    """
    before, after = neighbours(pairs)
    spacings = [[apart(a, b) for a, b in pairwise(column)] for column in columns]
    middle: dict[Item, float] = {}
    for column, spacing in zip(columns, spacings, strict=True):
        middle.update(zip(column, _fit([0.0] * len(column), [1.0] * len(column), spacing), strict=True))
    for turn in range(FIT_ROUNDS):
        sides = (before, after) if turn >= FIT_ROUNDS - 4 else (before,) if turn % 2 == 0 else (after,)
        for column, spacing in list(zip(columns, spacings, strict=True))[:: 1 if turn % 2 == 0 else -1]:
            wanted = [_wanted(item, sides, middle) for item in column]
            fitted = _fit([y for y, _ in wanted], [weight for _, weight in wanted], spacing)
            middle.update(zip(column, fitted, strict=True))
    return _straightened(columns, spacings, before, after, middle)


def neighbours(pairs: Iterable[tuple[Item, Item]]) -> tuple[dict[Item, list[Item]], dict[Item, list[Item]]]:
    """Give what each item is joined to in the layer before it, and in the layer after it."""
    before: dict[Item, list[Item]] = {}
    after: dict[Item, list[Item]] = {}
    for source, target in pairs:
        before.setdefault(target, []).append(source)
        after.setdefault(source, []).append(target)
    return before, after


def _wanted(item: Item, sides: Sequence[Near], middle: Mapping[Item, float]) -> tuple[float, float]:
    """Give the mean height of an item's neighbours, and how much it pulls: more where an edge passes a layer."""
    pulls = [
        (middle[other], 1.0 + 3.0 * (bool(item[1]) + bool(other[1]))) for side in sides for other in side.get(item, ())
    ]
    total = sum(pull for _, pull in pulls)
    return (sum(y * pull for y, pull in pulls) / total, total) if pulls else (middle[item], 0.1)


def _fit(wanted: Sequence[float], weights: Sequence[float], spacing: Sequence[float]) -> list[float]:
    """Give the places nearest to the wanted ones, in least squares, that keep the order and the spacing."""
    offsets = [0.0]
    for space in spacing:
        offsets.append(offsets[-1] + space)
    pools: list[tuple[float, float, int]] = []
    for want, weight, offset in zip(wanted, weights, offsets, strict=True):
        mean, total, count = want - offset, weight, 1
        while pools and pools[-1][0] >= mean:
            other, other_total, other_count = pools.pop()
            mean = (mean * total + other * other_total) / (total + other_total)
            total, count = total + other_total, count + other_count
        pools.append((mean, total, count))
    flat = [mean for mean, _, count in pools for _ in range(count)]
    return [mean + offset for mean, offset in zip(flat, offsets, strict=True)]


# ------------------------------------------------------------------ straight chains


def _straightened(
    columns: Sequence[Sequence[Item]],
    spacings: Sequence[Sequence[float]],
    before: Near,
    after: Near,
    middle: Mapping[Item, float],
) -> dict[Item, float]:
    """Bring each chain to one height, as near to the neighbours of its ends as the others leave room."""
    stacked = [
        (a, b, space)
        for column, spacing in zip(columns, spacings, strict=True)
        for (a, b), space in zip(pairwise(column), spacing, strict=True)
    ]
    chains = _chains(columns, before, after)
    order, upper, lower = _stack(chains, stacked)
    if not order:  # two chains change places on the way, so they cannot both be straight
        chains = [[item] for column in columns for item in column]
        order, upper, lower = _stack(chains, stacked)

    mean = [sum(middle[item] for item in chain) / len(chain) for chain in chains]
    down, up = list(mean), list(mean)
    for i in order:
        down[i] = max([mean[i], *(down[j] + space for j, space in upper[i])])
    for i in reversed(order):
        up[i] = min([mean[i], *(up[j] - space for j, space in lower[i])])
    places = [(a + b) / 2 for a, b in zip(down, up, strict=True)]
    found = {item: place for chain, place in zip(chains, places, strict=True) for item in chain}
    for turn in range(STRAIGHT_ROUNDS):
        for i in order if turn % 2 else reversed(order):
            least = max((places[j] + space for j, space in upper[i]), default=-inf)
            most = min((places[j] - space for j, space in lower[i]), default=inf)
            places[i] = min(max(_between(chains[i], before, after, found), least), most)
            found.update(dict.fromkeys(chains[i], places[i]))
    return found


def _chains(columns: Sequence[Sequence[Item]], before: Near, after: Near) -> list[Chain]:
    """Find the longest runs of items that lead to one alone and are led to by one alone."""
    only = {
        item: after[item][0]
        for column in columns
        for item in column
        if len(after.get(item, ())) == 1 and len(before[after[item][0]]) == 1
    }
    inner, chains = set(only.values()), []
    for item in (item for column in columns for item in column if item not in inner):
        chain = [item]
        while chain[-1] in only:
            chain.append(only[chain[-1]])
        chains.append(chain)
    return chains


def _stack(
    chains: Sequence[Chain], stacked: Iterable[tuple[Item, Item, float]]
) -> tuple[list[int], list[list[tuple[int, float]]], list[list[tuple[int, float]]]]:
    """Order chains from the upper end down (no order where there is none), with those right above and below each."""
    chain_of = {item: i for i, chain in enumerate(chains) for item in chain}
    upper: list[list[tuple[int, float]]] = [[] for _ in chains]
    lower: list[list[tuple[int, float]]] = [[] for _ in chains]
    for a, b, space in stacked:
        upper[chain_of[b]].append((chain_of[a], space))
        lower[chain_of[a]].append((chain_of[b], space))
    order, back = walk({i: [j for j, _ in below] for i, below in enumerate(lower)})
    return ([] if back else order), upper, lower


def _between(chain: Chain, before: Near, after: Near, found: Mapping[Item, float]) -> float:
    """Give the height in the middle of what a chain's ends are joined to; of the branches, where there are."""
    sides = [[found[item] for item in side] for side in (before.get(chain[0], ()), after.get(chain[-1], ())) if side]
    branches = [side for side in sides if len(side) > 1] or sides
    return sum(sum(side) / len(side) for side in branches) / len(branches) if branches else found[chain[0]]
