"""Benchmarks against peers: ratios, measured interleaved in one process. Never imported by tests."""
