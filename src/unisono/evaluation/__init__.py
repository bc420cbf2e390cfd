"""Evaluation: metrics of the field, each a small function, and the benchmarks built on them."""
