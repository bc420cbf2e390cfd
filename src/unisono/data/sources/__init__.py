"""Where clips come from: manifests, Parquet, WebDataset shards, Hugging Face sets, folders."""

from unisono.data.sources.base import Source, SourceOptions, parse_entry
from unisono.data.sources.find import ACCEPTED, open_sources

__all__ = ["ACCEPTED", "Source", "SourceOptions", "open_sources", "parse_entry"]
