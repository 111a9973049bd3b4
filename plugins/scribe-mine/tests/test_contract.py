"""The miner keeps the contract of miners."""

from scribe_mine.clusters import Clusters

from scribe_core.testing import MinerContract


class TestClusters(MinerContract):
    def builder(self):
        return Clusters(min_size=8)
