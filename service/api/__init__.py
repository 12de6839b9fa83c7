"""The HTTP side: one module a protocol, and what they share. Knows no model and no tokenizer."""
