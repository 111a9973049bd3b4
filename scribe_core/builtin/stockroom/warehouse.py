"""A small warehouse: what there is, and the tools that look it up and change it."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Literal

from attrs import frozen

MOST = 10**12
"""Numbers beyond it are refused: no task has any, and their products would grow without bound."""

State = tuple[Mapping[tuple[str, str], int], Mapping[str, Mapping[str, int]]]


class Refused(Exception):  # noqa: N818 - a policy reads the name
    """What the warehouse will not do; the text says why."""


@frozen(kw_only=True)
class World:
    """How a warehouse begins. Mappings are by item code; their order is that of the tools' answers."""

    names: Mapping[str, str]
    offers: Mapping[str, Mapping[str, int]]
    """Price of a unit by supplier."""
    units: Mapping[str, Mapping[str, int]]
    """Units in stock by store."""
    renamed: Mapping[str, str]
    """New names and codes by old ones."""
    sold_out: frozenset[tuple[str, str]]
    """(item, supplier) pairs that are offered but cannot be ordered."""


class Warehouse:
    """The state of one episode. Its tools either do what they say or raise `Refused` and change nothing."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._units = {item: dict(stores) for item, stores in world.units.items()}
        self._orders: Counter[tuple[str, str]] = Counter()

    @property
    def tools(self) -> tuple[Callable[..., Any], ...]:
        return (self.find, self.stock, self.offers, self.order, self.transfer, self.calculate)

    @property
    def state(self) -> State:
        """Units ordered by (item, supplier), and units in stock by item and store."""
        return dict(self._orders), {item: dict(stores) for item, stores in self._units.items()}

    def find(self, name: str) -> dict[str, str]:
        """Find an item's code by its name, to order, move, count or price units of it."""
        asked = name.casefold().split()
        if new := self._world.renamed.get(" ".join(asked)):
            raise Refused(f"{name} is called {new} now")
        names = self._world.names.items()
        found = {known: code for code, known in names if asked and {*asked} <= {*known.split()}}
        if not found:
            raise Refused(f"no item is called {name[:60]!r}")
        return found

    def stock(self, item: str) -> dict[str, int]:
        """Units of an item that each store holds."""
        return dict(self._units[self._known(item)])

    def offers(self, item: str) -> dict[str, int]:
        """Price of a unit at each supplier, to compute a cost or find the cheapest."""
        return dict(self._world.offers[self._known(item)])

    def order(self, item: str, supplier: str, quantity: int) -> str:
        """Order units of an item."""
        offers = self._world.offers[self._known(item)]
        _check_one_of("supplier", supplier, offers)
        _check_positive(quantity)
        if (item, supplier) in self._world.sold_out:
            raise Refused(f"{supplier} is sold out of {item}")
        self._orders[item, supplier] += quantity
        return f"ordered {quantity} units of {item} from {supplier}"

    def transfer(self, item: str, source: str, target: str, quantity: int) -> str:
        """Move units of an item."""
        units = self._units[self._known(item)]
        _check_one_of("store", source, units)
        _check_one_of("store", target, units)
        _check_positive(quantity)
        if units[source] < quantity:
            raise Refused(f"{source} holds only {units[source]} units of {item}")
        units[source] -= quantity
        units[target] += quantity
        return f"moved {quantity} units of {item} from {source} to {target}"

    def calculate(self, a: int, operator: Literal["+", "-", "*", "/"], b: int) -> int:
        """Calculate with integers; / rounds down."""
        if max(abs(a), abs(b)) > MOST:
            raise Refused("the numbers are too large")
        if operator == "/" and b == 0:
            raise Refused("nothing can be divided by 0")
        return {"+": a + b, "-": a - b, "*": a * b, "/": a // (b or 1)}[operator]

    def _known(self, item: str) -> str:
        if item in self._world.renamed:
            raise Refused(f"{item} has the code {self._world.renamed[item]} now")
        if item not in self._world.names:
            raise Refused(f"there is no item with the code {item[:60]!r}; find gives codes")
        return item


def _check_one_of(what: str, name: str, known: Mapping[str, int]) -> None:
    if name not in known:
        raise Refused(f"there is no {what} {name[:60]!r}")


def _check_positive(quantity: int) -> None:
    if not 0 < quantity <= MOST:
        raise Refused("the quantity has to be positive" if quantity <= 0 else "the quantity is too large")
