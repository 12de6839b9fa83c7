"""Plain text work: cutting text into sentences and putting it together again."""
