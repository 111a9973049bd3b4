"""Offers the router `trained`."""

from collections.abc import Iterator
from typing import Any

from scribe_core import hookimpl


@hookimpl
def scribe_routers() -> Iterator[type[Any]]:
    from scribe_router_trained.router import TrainedRouter

    yield TrainedRouter
