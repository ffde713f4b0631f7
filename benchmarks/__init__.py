"""Benchmarks: one script a question; every figure is a ratio inside one run, with versions printed."""
