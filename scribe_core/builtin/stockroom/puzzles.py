"""Puzzles: a warehouse, a request and the plan that does it, drawn from a seed.

What a request is about is never what a tool lists first, so that taking the first of a list leads nowhere.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from hashlib import sha256
from random import Random
from typing import Literal

from attrs import evolve, frozen

from scribe_core.builtin.stockroom import vocabulary
from scribe_core.builtin.stockroom.goals import Goal, Levels, Scene, call, orders, questions, transfers
from scribe_core.builtin.stockroom.warehouse import World
from scribe_core.types import ToolCall

HARDEST = 6

Naming = Literal["code", "name", "old code", "old name"]
_NAMING_DEPTH: Mapping[Naming, int] = {"code": 0, "name": 1, "old code": 1, "old name": 2}
_STORES, _SUPPLIERS, _VARIANTS = 4, 5, 2
_MOST_UNITS, _MOST_PRICE = 80, 40


@frozen(kw_only=True)
class Puzzle:
    """One task: a request to a warehouse. How many levels its plan has is its difficulty."""

    request: str
    world: World
    levels: Levels
    closing: str
    answer: str | None

    @property
    def digest(self) -> int:
        """Of the request."""
        return int(sha256(self.request.encode()).hexdigest(), 16)


def puzzle(seed: str, difficulty: int, accepted: Callable[[Puzzle], bool]) -> Puzzle:
    """The first acceptable puzzle of this difficulty, 1 to `HARDEST`, among those that the seed leads to."""
    rng = Random(seed)  # noqa: S311
    choices = _choices(difficulty)
    while True:
        naming, goal = rng.choice(rng.choice(choices))
        drawn = _puzzle(rng, naming, goal)
        if accepted(drawn):
            return drawn


@cache
def _choices(difficulty: int) -> Sequence[Sequence[tuple[Naming, Goal]]]:
    """For each kind of goal: the goals, with a way to name their item, that together make the difficulty."""
    kinds = [
        [
            (naming, goal)
            for goal in kind
            for naming, depth in _NAMING_DEPTH.items()
            if depth + goal.depth == difficulty and (naming in ("code", "name") or not goal.two_items)
        ]
        for kind in (orders(), transfers(), questions())
    ]
    return [kind for kind in kinds if kind]


def _puzzle(rng: Random, naming: Naming, goal: Goal) -> Puzzle:
    scene = _renamed(_scene(rng, goal), naming)
    asked = goal.ask(scene)
    return Puzzle(
        request=asked.text,
        world=scene.world,
        levels=[*_naming_levels(scene, naming, goal.two_items), *_with_old_code(scene, naming, asked.levels)],
        closing=asked.closing,
        answer=asked.answer,
    )


def _scene(rng: Random, goal: Goal) -> Scene:
    """A world, and its leading parts, with the items called by their codes."""
    names, item, second = _names(rng)
    stores = rng.sample(vocabulary.STORES, _STORES)
    suppliers = rng.sample(vocabulary.SUPPLIERS, _SUPPLIERS)
    units = {code: dict(zip(stores, _units(rng), strict=True)) for code in names}
    offers = {code: dict(zip(suppliers, _prices(rng), strict=True)) for code in names}
    by_price = sorted(suppliers, key=offers[item].__getitem__)
    store, other = sorted(rng.sample(stores[1:], 2), key=units[item].__getitem__, reverse=True)
    fullest = max(stores, key=units[item].__getitem__)
    if other == fullest or store == fullest:
        store, other = fullest, next(each for each in rng.sample(stores[1:], 3) if each != fullest)
    return Scene(
        rng=rng,
        world=World(
            names=names,
            offers=offers,
            units=units,
            renamed={},
            sold_out=frozenset({(item, by_price[0])} if goal.sold_out else ()),
        ),
        item=item,
        called=item,
        second=second,
        second_called=second,
        supplier=rng.choice([each for each in by_price[1:] if each != suppliers[0]]),
        store=store,
        other=other,
    )


def _names(rng: Random) -> tuple[dict[str, str], str, str]:
    """Names by code, and two of the codes; of each there are variants, and one comes before it."""
    materials, products = rng.sample(vocabulary.MATERIALS, 2), rng.sample(vocabulary.PRODUCTS, 2)
    leading = [f"{material} {product}" for material, product in zip(materials, products, strict=True)]
    names = [
        f"{qualifier} {name}"
        for name in leading
        for qualifier in rng.sample(vocabulary.QUALIFIERS, _VARIANTS)
    ]
    rng.shuffle(names)
    for name in leading:
        first = min(i for i, each in enumerate(names) if name in each)
        names.insert(rng.randint(first + 1, len(names)), name)
    codes = [
        f"{rng.choice('BCDFGHKLMNPRSTVWX')}{number}" for number in rng.sample(range(100, 1000), len(names))
    ]
    item, second = (codes[names.index(name)] for name in leading)
    return dict(zip(codes, names, strict=True)), item, second


def _units(rng: Random) -> list[int]:
    """Units by store, all different; the first store holds neither most nor fewest."""
    units = rng.sample(range(2, _MOST_UNITS), _STORES)
    return _swapped(units, sorted(units)[1:-1], rng)


def _prices(rng: Random) -> list[int]:
    """Prices by supplier, all different; the first supplier is none of the two cheapest."""
    prices = rng.sample(range(2, _MOST_PRICE), _SUPPLIERS)
    return _swapped(prices, sorted(prices)[2:], rng)


def _swapped(values: list[int], may_lead: Sequence[int], rng: Random) -> list[int]:
    leader = values.index(rng.choice(may_lead))
    values[0], values[leader] = values[leader], values[0]
    return values


def _renamed(scene: Scene, naming: Naming) -> Scene:
    """The scene where the request names the items in this way."""
    if naming == "code":
        return scene
    names = scene.world.names
    if naming == "name":
        return evolve(scene, called=names[scene.item], second_called=names[scene.second])
    if naming == "old code":
        old, new = f"{scene.rng.choice('AEJQYZ')}{scene.rng.randrange(100, 1000)}", scene.item
    else:
        words = [word for word in vocabulary.PRODUCTS if not any(word in name for name in names.values())]
        material = names[scene.item].split()[0]
        old, new = f"{material} {scene.rng.choice(words)}", names[scene.item]
    return evolve(scene, called=old, world=evolve(scene.world, renamed={old: new}))


def _naming_levels(scene: Scene, naming: Naming, two_items: bool) -> Levels:
    """Finding the codes of the items, where the request does not give them."""
    if naming == "name":
        names = [scene.called, *([scene.second_called] if two_items else [])]
        return [[call("find", name=name) for name in names]]
    if naming == "old name":
        return [[call("find", name=name)] for name in (scene.called, scene.world.renamed[scene.called])]
    return []


def _with_old_code(scene: Scene, naming: Naming, levels: Levels) -> Levels:
    """With an old code, the first level fails, and is done again with the new one."""
    if naming != "old code":
        return levels
    return [[_of_item(each, scene.called) for each in levels[0]], *levels]


def _of_item(each: ToolCall, item: str) -> ToolCall:
    assert isinstance(each.arguments, Mapping)
    return evolve(each, arguments={**each.arguments, "item": item})
