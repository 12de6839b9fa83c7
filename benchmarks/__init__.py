"""Benchmarks against peers: ratios, measured interleaved in one process. No test uses them."""
