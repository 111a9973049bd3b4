"""Served models on real tasks: the recipes, with a server that knows the answers, and with SmolLM2."""

import re
from pathlib import Path

import pytest
from scribe_policy_hf.builder import HF

from scribe_core.builders import build
from scribe_core.config import Config
from scribe_core.evaluation import evaluate, held_out
from scribe_core.testing.servers import ChatServer
from scribe_core.trajectories import dump_trajectory, parse_trajectory
from scribe_core.types import Conversation, Sampling, Trajectory

RECIPES = Path(__file__).parent.parent / "contrib/recipes"
ON_TOP_OF = {"bfcl-refresh": "bfcl-scribe"}
SERVED = ("stockroom-served", "bfcl-served")


def loaded(recipe, *overrides):
    files = [RECIPES / f"{name}.toml" for name in (ON_TOP_OF.get(recipe), recipe) if name]
    served = ["policy.model=m"] if recipe in SERVED else []
    return Config.load(files, [*served, *overrides])


@pytest.mark.parametrize("recipe", sorted(path.stem for path in RECIPES.glob("*.toml")))
def test_every_recipe_can_be_loaded(recipe):
    config = loaded(recipe)
    assert config.policy
    assert held_out(build(config.environment), config.evaluation)


def played(server, recipe, *overrides):
    config = loaded(recipe, f"policy.base_url={server.url}", *overrides)
    return evaluate(
        build(config.policy),
        build(config.environment),
        config.scorer.build(),
        config.evaluation,
        config.rollout,
    )


def knowing(recipe):
    """A model that has seen the plan of each task, and names tools as servers want them."""
    plans = {}
    config = loaded(recipe)
    for task in held_out(build(config.environment), config.evaluation):
        said = [message for message in task.demonstration if message.role == "assistant"]
        record = dump_trajectory(Trajectory(id="x", messages=tuple(said)))
        plans[task.messages[-1].content] = record["messages"]

    def reply(request):
        last = max(i for i, each in enumerate(request["messages"]) if each["role"] == "user")
        plan = plans[request["messages"][last]["content"]]
        message = plan[sum(each["role"] == "assistant" for each in request["messages"])]
        offered = {tool["function"]["name"] for tool in request.get("tools", ())}
        for call in message.get("tool_calls", ()):
            call["function"]["name"] = re.sub(r"[^\w-]", "_", call["function"]["name"])
            assert call["function"]["name"] in offered
        return message

    return reply


@pytest.mark.parametrize("recipe", SERVED)
def test_who_knows_the_plans_succeeds(recipe):
    with ChatServer(reply=knowing(recipe)) as server:
        result = played(server, recipe, "evaluation.limit=12")
    assert [s.trajectory.metadata.get("error") for s in result.scored] == [None] * 12
    assert set(result.outcomes.values()) == {1.0}
    assert all(s.reward.process is not None for s in result.scored)
    assert result.usage.calls == server.requests
    assert result.usage.usd is None


def test_a_small_model_behind_a_server():
    policy = HF(model="smollm2-135m").build()

    def reply(request):
        told = parse_trajectory({"id": "x", "messages": request["messages"], "tools": request["tools"]})
        sampling = Sampling(temperature=0.0, max_tokens=request["max_tokens"])
        (completion,) = policy.generate(
            [Conversation(messages=told.messages, tools=told.tools)], sampling, [0]
        )
        (said,) = dump_trajectory(Trajectory(id="x", messages=(completion.message,)))["messages"]
        return {
            **{key: said[key] for key in ("content", "tool_calls") if key in said},
            "finish_reason": completion.finish_reason,
        }

    with ChatServer(reply=reply) as server:
        small = ("evaluation.limit=1", "rollout.max_tokens=8", "rollout.max_turns=1")
        result = played(server, "stockroom-served", *small, "policy.limits.timeout=3600")
    assert {s.trajectory.status for s in result.scored} <= {"done", "truncated"}
    assert len(result.outcomes) == 1
    assert result.usage.calls == server.requests == 1
