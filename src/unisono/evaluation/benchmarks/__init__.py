"""What `benchmarks/*.py` measure, one file a benchmark; the scripts only parse and print."""
