"""Bundles at run time: which there are, which are loaded, and who uses them."""
