"""From pair files to batches of ids."""
