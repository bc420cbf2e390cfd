"""UniCodec (arXiv 2503.12115): global, semantic and residual tokens of a low-bitrate codec."""
