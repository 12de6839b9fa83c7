"""The API that clients of DeepL speak, mapped to the same pipeline as all others."""
