"""The online wing: loads model bundles and answers translation requests. Never imports PyTorch."""

__version__ = "0.1.0"
