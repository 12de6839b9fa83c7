"""The API that clients of LibreTranslate speak, mapped to the same pipeline as all others."""
