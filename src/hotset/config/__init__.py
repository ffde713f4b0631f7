"""Plain descriptions of tiers and caches: from code, urls and the environment. Opens nothing."""

from hotset.config.environment import from_environment
from hotset.config.tiers import Memory, Null, Tier, process_tier

__all__ = ["Memory", "Null", "Tier", "from_environment", "process_tier"]
