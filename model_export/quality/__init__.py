"""How good a bundle is, through the service's own pipeline."""
