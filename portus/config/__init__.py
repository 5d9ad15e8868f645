"""The configuration: defaults, then a local file, then the environment.

`load()` is called once, by the settings; everything else reads `settings.PORTUS`.
"""

from portus.config.describe import Row, describe
from portus.config.load import Loaded, load, missing_secret_key
from portus.config.options import Options, PushPolicy, SyncStrategy
from portus.config.sources import ConfigurationError

__all__ = [
    "ConfigurationError",
    "Loaded",
    "Options",
    "PushPolicy",
    "Row",
    "SyncStrategy",
    "describe",
    "load",
    "missing_secret_key",
]
