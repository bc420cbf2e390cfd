"""Quantizers: continuous frame states to code numbers, and the figures that describe code use."""

from unisono.quantize.usage import CodeUsage, code_counts, code_usage
from unisono.quantize.vector import Quantized, Reducer, VectorQuantizer, nearest_codes

__all__ = [
    "CodeUsage",
    "Quantized",
    "Reducer",
    "VectorQuantizer",
    "code_counts",
    "code_usage",
    "nearest_codes",
]
