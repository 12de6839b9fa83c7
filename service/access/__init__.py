"""Who may call, and how much: API keys and their quotas. Knows no HTTP and no model."""
