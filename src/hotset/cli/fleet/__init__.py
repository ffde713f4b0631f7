"""`hotset demo --redis`: two processes that share a store, and what happens when one of the three goes away."""
