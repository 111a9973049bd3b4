"""What can be asked of a warehouse: the request in words, and the plan that does it.

A plan is a sequence of levels. The calls of one level need nothing of each other but something of the level before,
so the number of levels is the length of the chain of dependencies.
"""

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from attrs import frozen

from scribe_core.builtin.stockroom.warehouse import World
from scribe_core.types import ToolCall

Levels = Sequence[Sequence[ToolCall]]


@frozen(kw_only=True)
class Scene:
    """A world, and who and what of it a request is about; prices of an item are all different, as is its stock.

    `called` and `second_called` are how the request names the two items. `store` holds more than `other`.
    """

    rng: Random
    world: World
    item: str
    called: str
    second: str
    second_called: str
    supplier: str
    store: str
    other: str

    @property
    def prices(self) -> dict[str, int]:
        return dict(self.world.offers[self.item])

    @property
    def units(self) -> dict[str, int]:
        return dict(self.world.units[self.item])

    @property
    def by_price(self) -> list[str]:
        """Suppliers of the item, the cheapest first."""
        return sorted(self.prices, key=self.prices.__getitem__)


@frozen(kw_only=True)
class Asked:
    """A request and its plan. `closing` is the plan's last message; where it is the `answer`, that is graded too."""

    text: str
    levels: Levels
    closing: str
    answer: str | None = None


@frozen(kw_only=True)
class Goal:
    """Something to ask, and how many levels its plan has. `sold_out`: the cheapest supplier cannot deliver."""

    depth: int
    ask: Callable[[Scene], Asked]
    sold_out: bool = False
    two_items: bool = False


def call(tool: str, /, **arguments: Any) -> ToolCall:
    return ToolCall(name=tool, arguments=arguments)


def calculate(a: int, operator: str, b: int) -> ToolCall:
    return call("calculate", a=a, operator=operator, b=b)


def question(scene: Scene, text: str, levels: Levels, answer: int) -> Asked:
    """A request for a number."""
    hints = ("Answer with just the number.", "Reply with the number only.", "Just the number, please.")
    return Asked(
        text=f"{text} {scene.rng.choice(hints)}", levels=levels, closing=str(answer), answer=str(answer)
    )


def orders() -> list[Goal]:
    """Every order there is: how many, from whom, whether the first choice cannot deliver, and at what cost."""
    goals = []
    for amount, depth in ((given, 0), (as_many, 1), (top_up, 2), (budget, 2), (restock, 3)):
        goals.append(Goal(depth=depth + 1, ask=_order(amount, cheapest=False)))
        for sold_out in (False, True) if amount is not budget else (False,):
            for cost in (False, True):
                goals.append(
                    Goal(
                        depth=max(depth, 1) + 1 + sold_out + cost,
                        ask=_order(amount, cheapest=True, sold_out=sold_out, cost=cost),
                        sold_out=sold_out,
                    )
                )
    return goals


@frozen(kw_only=True)
class Amount:
    """How many units to order: in words, as a number, and the levels that find it out."""

    words: str
    units: int
    levels: Levels = ()
    before: str = ""


def _order(
    amount: Callable[[Scene, int], Amount], *, cheapest: bool, sold_out: bool = False, cost: bool = False
) -> Callable[[Scene], Asked]:
    def ask(scene: Scene) -> Asked:
        tried = scene.by_price[: 1 + sold_out] if cheapest else [scene.supplier]
        price = scene.prices[tried[-1]]
        how_many = amount(scene, price)
        offers = call("offers", item=scene.item)
        levels = [list(level) for level in how_many.levels]
        if cheapest and offers not in (levels or [[]])[0]:
            levels = [[*levels[0], offers], *levels[1:]] if levels else [[offers]]
        units = how_many.units
        levels += [[call("order", item=scene.item, supplier=each, quantity=units)] for each in tried]
        whom = "the cheapest supplier that can deliver" if cheapest else tried[0]
        verb = scene.rng.choice(("Order", "Please order", "Buy", "Please buy"))
        text = f"{how_many.before}{verb} {how_many.words} from {whom}."
        if cost:
            asks = scene.rng.choice(("What does the order cost?", "Then tell me the cost of the order."))
            return question(scene, f"{text} {asks}", [*levels, [calculate(price, "*", units)]], price * units)
        return Asked(
            text=text,
            levels=levels,
            closing=f"Ordered {units} units of {scene.item} from {tried[-1]}.",
        )

    return ask


def given(scene: Scene, _: int) -> Amount:
    units = scene.rng.randint(3, 60)
    return Amount(words=f"{units} units of {scene.called}", units=units)


def as_many(scene: Scene, _: int) -> Amount:
    words = f"as many units of {scene.called} as the {scene.store} store holds"
    return Amount(words=words, units=scene.units[scene.store], levels=[[call("stock", item=scene.item)]])


def top_up(scene: Scene, _: int) -> Amount:
    units, held = scene.rng.randint(3, 60), scene.units[scene.store]
    words = f"enough units of {scene.called} to bring the {scene.store} store up to {held + units}"
    levels = [[call("stock", item=scene.item)], [calculate(held + units, "-", held)]]
    return Amount(words=words, units=units, levels=levels)


def budget(scene: Scene, price: int) -> Amount:
    units = scene.rng.randint(3, 60)
    money = price * units + scene.rng.randrange(price)
    words = f"as many units of {scene.called} as cost no more than {money} euros in all"
    return Amount(
        words=words, units=units, levels=[[call("offers", item=scene.item)], [calculate(money, "/", price)]]
    )


def restock(scene: Scene, _: int) -> Amount:
    """Move everything to one store, then fill that up."""
    units, moved, held = scene.rng.randint(3, 60), scene.units[scene.other], scene.units[scene.store]
    move = call("transfer", item=scene.item, source=scene.other, target=scene.store, quantity=moved)
    levels = [
        [call("stock", item=scene.item)],
        [move, calculate(held, "+", moved)],
        [calculate(held + moved + units, "-", held + moved)],
    ]
    before = f"Move all units of {scene.called} from the {scene.other} store to the {scene.store} store. "
    words = f"enough more to bring the {scene.store} store up to {held + moved + units}"
    return Amount(before=before, words=words, units=units, levels=levels)


def transfers() -> list[Goal]:
    """Moves of some units, of all, from the fullest store, and until a store holds enough."""
    return [
        Goal(depth=1, ask=_move_some),
        Goal(depth=2, ask=_move_all),
        Goal(depth=2, ask=_move_from_fullest),
        Goal(depth=3, ask=_move_until),
    ]


def _moved(scene: Scene, text: str, before: Levels, source: str, target: str, units: int) -> Asked:
    move = call("transfer", item=scene.item, source=source, target=target, quantity=units)
    closing = f"Moved {units} units of {scene.item} from {source} to {target}."
    return Asked(text=text, levels=[*before, [move]], closing=closing)


def _move_verb(scene: Scene) -> str:
    return scene.rng.choice(("Move", "Please move", "Transfer", "Please transfer"))


def _move_some(scene: Scene) -> Asked:
    units = scene.rng.randint(1, scene.units[scene.store])
    text = f"{_move_verb(scene)} {units} units of {scene.called} from the {scene.store} store to the {scene.other} store."
    return _moved(scene, text, (), scene.store, scene.other, units)


def _move_all(scene: Scene) -> Asked:
    text = f"{_move_verb(scene)} all units of {scene.called} from the {scene.store} store to the {scene.other} store."
    look = [call("stock", item=scene.item)]
    return _moved(scene, text, [look], scene.store, scene.other, scene.units[scene.store])


def _move_from_fullest(scene: Scene) -> Asked:
    fullest = max(scene.units, key=scene.units.__getitem__)
    units = scene.rng.randint(1, scene.units[fullest])
    text = f"{_move_verb(scene)} {units} units of {scene.called} from the store that holds most to the {scene.other} store."
    return _moved(scene, text, [[call("stock", item=scene.item)]], fullest, scene.other, units)


def _move_until(scene: Scene) -> Asked:
    held = scene.units[scene.other]
    units = scene.rng.randint(1, scene.units[scene.store])
    text = (
        f"{_move_verb(scene)} units of {scene.called} from the {scene.store} store to the {scene.other} store "
        f"until that holds {held + units}."
    )
    levels = [[call("stock", item=scene.item)], [calculate(held + units, "-", held)]]
    return _moved(scene, text, levels, scene.store, scene.other, units)


def questions() -> list[Goal]:
    """Requests for a number, which change nothing."""
    return [
        Goal(depth=1, ask=_how_many),
        Goal(depth=1, ask=_what_price),
        Goal(depth=2, ask=_how_many_more),
        Goal(depth=2, ask=_what_cost),
        Goal(depth=3, ask=_what_saved),
        Goal(depth=3, ask=_cost_to_fill),
        Goal(depth=3, ask=_cost_together, two_items=True),
    ]


def _how_many(scene: Scene) -> Asked:
    text = f"How many units of {scene.called} does the {scene.store} store hold?"
    return question(scene, text, [[call("stock", item=scene.item)]], scene.units[scene.store])


def _what_price(scene: Scene) -> Asked:
    text = f"What is the price of {scene.called} at {scene.supplier}?"
    return question(scene, text, [[call("offers", item=scene.item)]], scene.prices[scene.supplier])


def _how_many_more(scene: Scene) -> Asked:
    more, less = scene.units[scene.store], scene.units[scene.other]
    text = f"How many more units of {scene.called} does the {scene.store} store hold than the {scene.other} store?"
    levels = [[call("stock", item=scene.item)], [calculate(more, "-", less)]]
    return question(scene, text, levels, more - less)


def _what_cost(scene: Scene) -> Asked:
    units = scene.rng.randint(3, 60)
    whom = scene.rng.choice((scene.supplier, scene.by_price[0]))
    named = whom if whom == scene.supplier else "the cheapest supplier"
    text = f"What do {units} units of {scene.called} cost at {named}?"
    price = scene.prices[whom]
    levels = [[call("offers", item=scene.item)], [calculate(price, "*", units)]]
    return question(scene, text, levels, price * units)


def _what_saved(scene: Scene) -> Asked:
    units, low = scene.rng.randint(3, 60), scene.prices[scene.by_price[0]]
    high = scene.prices[scene.supplier]
    text = f"How much do {units} units of {scene.called} cost more at {scene.supplier} than at the cheapest supplier?"
    levels = [
        [call("offers", item=scene.item)],
        [calculate(high, "-", low)],
        [calculate(high - low, "*", units)],
    ]
    return question(scene, text, levels, (high - low) * units)


def _cost_to_fill(scene: Scene) -> Asked:
    units, held = scene.rng.randint(3, 60), scene.units[scene.store]
    price = scene.prices[scene.supplier]
    text = (
        f"What would it cost to bring the {scene.store} store up to {held + units} units of {scene.called} "
        f"with {scene.supplier}?"
    )
    levels = [
        [call("stock", item=scene.item), call("offers", item=scene.item)],
        [calculate(held + units, "-", held)],
        [calculate(price, "*", units)],
    ]
    return question(scene, text, levels, price * units)


def _cost_together(scene: Scene) -> Asked:
    units, more = scene.rng.randint(3, 60), scene.rng.randint(3, 60)
    price, other = scene.prices[scene.supplier], scene.world.offers[scene.second][scene.supplier]
    text = (
        f"What do {units} units of {scene.called} and {more} units of {scene.second_called} cost together "
        f"at {scene.supplier}?"
    )
    levels = [
        [call("offers", item=scene.item), call("offers", item=scene.second)],
        [calculate(price, "*", units), calculate(other, "*", more)],
        [calculate(price * units, "+", other * more)],
    ]
    return question(scene, text, levels, price * units + other * more)
