"""One module for each kind of file. `read` finds its passages; none of them knows a model."""
