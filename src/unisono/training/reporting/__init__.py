"""What a training run tells: terminal, metrics file, TensorBoard, audio and picture samples."""

from unisono.training.reporting.figures import Sample
from unisono.training.reporting.reporter import Reporter

__all__ = ["Reporter", "Sample"]
