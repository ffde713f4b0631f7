"""Plain descriptions of tiers and caches: from code, urls and the environment. Opens nothing."""

from hotset.config.environment import from_environment
from hotset.config.redis import Redis
from hotset.config.tiers import Memory, Null, Tier, in_order

__all__ = ["Memory", "Null", "Redis", "Tier", "from_environment", "in_order"]
