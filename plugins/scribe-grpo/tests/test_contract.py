"""The optimizers keep the contract, whatever their options make them compute on the way."""

from scribe_grpo.builders import GRPO, SFT

from scribe_core.testing import OptimizerContract


class TestGRPO(OptimizerContract):
    def builder(self) -> GRPO:
        return GRPO(learning_rate=1e-2)


class TestGRPOWithAReference(OptimizerContract):
    def builder(self) -> GRPO:
        return GRPO(learning_rate=1e-2, kl=0.1)


class TestGRPOThatReusesABatch(OptimizerContract):
    def builder(self) -> GRPO:
        return GRPO(learning_rate=1e-2, epochs=3, batch_tokens=1)


class TestGRPOBySubgoal(OptimizerContract):
    def builder(self) -> GRPO:
        return GRPO(learning_rate=1e-2, credit="subgoal", loss="grpo", importance="sequence", clip_high=0.3)


class TestGRPODecoupled(OptimizerContract):
    def builder(self) -> GRPO:
        return GRPO(
            learning_rate=1e-2, credit="decoupled", loss="dr_grpo", decay_steps=10, mask_truncated=True
        )


class TestSFT(OptimizerContract):
    def builder(self) -> SFT:
        return SFT()


class TestSFTInSmallBatches(OptimizerContract):
    def builder(self) -> SFT:
        return SFT(batch_tokens=1, warmup_steps=0)
