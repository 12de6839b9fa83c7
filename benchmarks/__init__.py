"""Benchmarks: the engine and the service against peers, and what they cost as work grows.

`python -m benchmarks --help`, or `make bench`. Neither the service nor the exporter knows of this
package, and nothing here is installed with them.
"""
