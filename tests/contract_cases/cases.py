"""One test class per contract and fault; `tests/test_contracts.py` runs them and compares what fails."""

from collections.abc import Callable, Iterable
from typing import Any

from attrs import frozen

from scribe_core.testing import BuilderContract


@frozen
class Part:
    """A builder of a part with a fault; "" is a sound one."""

    kind: Callable[[str], Any]
    fault: str

    def build(self) -> Any:
        return self.kind(self.fault)


def cases(
    contract: type, kind: Callable[[str], Any], faults: Iterable[str], **attributes: Any
) -> dict[str, type]:
    """Test classes named after contract and fault."""
    return {
        f"Test{contract.__name__}_{fault or 'sound'}": case(contract, Part(kind, fault), **attributes)
        for fault in ("", *faults)
    }


def case(contract: type, builder: Any, **attributes: Any) -> type:
    """A test class without the tests of builders, which are the same for every kind."""
    names = () if contract is BuilderContract else vars(BuilderContract)
    skipped = {name: None for name in names if name.startswith("test_")}
    return type("Case", (contract,), {"builder": lambda self: builder, **skipped, **attributes})
