"""From texts to translations: the one pipeline that every protocol hands its requests to."""
