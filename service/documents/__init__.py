"""Whole files: what stands in them to be translated, and the jobs that translate them."""
