"""Models that others have trained: a reader for each format, one value, one writer of bundles."""
