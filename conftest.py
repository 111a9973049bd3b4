"""For the tests of core and of every plugin: no network, and no test that fails because a machine is slow."""

import os

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

try:
    from hypothesis import HealthCheck, settings
except ImportError:  # not every plugin tests with it
    pass
else:
    settings.register_profile("scribe", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("scribe")
