"""One family of metrics a file. A metric that cannot be computed raises `MetricError`."""
