"""Bundles, search and scheduling. Knows no HTTP."""
