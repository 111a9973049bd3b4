"""The words that warehouses are made of. No word of one list stands in another."""

MATERIALS = (
    *("steel", "brass", "copper", "rubber", "nylon", "oak", "pine", "glass", "ceramic", "leather", "cotton"),
    *("plastic", "iron", "zinc", "silver", "paper", "wool", "felt", "cork", "linen", "tin", "chrome"),
)
PRODUCTS = (
    *("bolt", "hinge", "bracket", "hook", "pipe", "valve", "washer", "cable", "handle", "panel", "tray"),
    *("bucket", "ladder", "lamp", "brush", "clamp", "gasket", "spring", "wheel", "tube", "plate", "ring"),
    *("strap", "latch", "nozzle", "funnel", "pulley", "wedge"),
)
QUALIFIERS = (
    *(
        "long",
        "short",
        "wide",
        "narrow",
        "heavy",
        "light",
        "round",
        "flat",
        "curved",
        "thick",
        "thin",
        "large",
    ),
    *("small", "black", "white", "green", "polished", "coated", "reinforced", "folding"),
)
STORES = (
    *("north", "south", "east", "west", "harbour", "station", "airport", "market", "river", "hill", "castle"),
    *("bridge", "mill", "garden", "canal", "forest", "lake", "tower"),
)
SUPPLIERS = (
    *("Abbot", "Barlow", "Carver", "Dunmore", "Ellery", "Fenwick", "Garland", "Hartley", "Ingram", "Jarvis"),
    *("Kendall", "Lomax", "Mercer", "Norwood", "Orson", "Pickett", "Quimby", "Ramsey", "Selby", "Thorne"),
    *("Upton", "Vernon", "Wexford", "Yardley"),
)
