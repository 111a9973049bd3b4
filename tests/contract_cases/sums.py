"""An environment of plain functions: prompts, a tool and a reward function."""

PROMPTS = [
    {
        "id": f"sum-{n}",
        "prompt": f"What is {n} + {n}?",
        "answer": 2 * n,
        "demonstration": str(2 * n),
        "split": split,
    }
    for n, split in enumerate(["train", "train", "validation", "test"], start=1)
]


def add(a: int, b: int = 0) -> int:
    """Adds two numbers.

    Args:
        a: The first.
        b: The second.
    """
    return a + b


def reward(completion: str, answer: int) -> bool:
    return completion == str(answer)
