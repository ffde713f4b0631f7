"""The freshness protocol as a model, and a checker that walks every interleaving of it: see README.md."""
