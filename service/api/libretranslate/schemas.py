"""LibreTranslate's requests and answers, as its clients send and read them."""

import json
from typing import Annotated, Any, Literal
from urllib.parse import unquote_plus

from pydantic import BaseModel, BeforeValidator, Field

from service.api.texts import fault_in


def _texts(value: Any) -> Any:
    texts = value if isinstance(value, list) else [value]
    if value is None or value in ("", []):
        raise ValueError("missing q parameter")
    for text in texts:
        if not isinstance(text, str):
            raise ValueError("q parameter is not a text or a list of texts")
        if fault := fault_in(text):
            raise ValueError(f"q parameter {fault}")
    return value


def _format(value: Any) -> Any:
    if value in (None, ""):
        return "text"
    if value not in ("text", "html"):
        raise ValueError(f"{str(value)[:40]} format is not supported")
    return value


def _count(value: Any) -> int:
    if value in (None, ""):
        return 0
    try:
        return int(value if isinstance(value, str) else json.dumps(value))
    except ValueError as error:
        raise ValueError("alternatives parameter is not a number") from error


Texts = Annotated[str | list[str], BeforeValidator(_texts)]


class DetectFields(BaseModel):
    """What is to be identified."""

    q: Texts = Field(
        description="A text; of a list, the language of all together.", examples=["Good morning!"]
    )
    api_key: Any = Field(None, description="A key, where the service asks for one.", examples=[""])


class TranslateFields(BaseModel):
    """What is to be translated, and how."""

    q: Texts = Field(description="A text or a list of texts.", examples=["Good morning!"])
    source: str = Field(description="A code of /languages, or `auto`.", examples=["en"])
    target: str = Field(description="A code of /languages.", examples=["ko"])
    format: Annotated[Literal["text", "html"], BeforeValidator(_format)] = Field(
        "text", description="`html` keeps tags and entities.", examples=["text"]
    )
    alternatives: Annotated[int, BeforeValidator(_count)] = Field(
        0, description="How many other translations are wanted besides.", examples=[0]
    )
    api_key: Any = Field(None, description="A key, where the service asks for one.", examples=[""])

    @property
    def php_list(self) -> list[str] | None:
        """The texts of the PHP library, which sends a list as one URL-encoded JSON text, as HTML,
        and reads the answer in the same way; None for everybody else."""
        if self.format != "html" or not isinstance(self.q, str) or not self.q.startswith("%5B"):
            return None
        try:
            texts = json.loads(unquote_plus(self.q))
        except ValueError:
            return None
        return texts if all(isinstance(t, str) and not fault_in(t) for t in texts) else None


class DetectedLanguage(BaseModel):
    """A language that a text may be in."""

    confidence: int = Field(description="How sure that is, 0 to 100.", examples=[92], ge=0, le=100)
    language: str = Field(description="Its code.", examples=["en"])


class TranslateAnswer(BaseModel):
    """For a list of texts, each field is a list."""

    translatedText: str | list[str] = Field(  # noqa: N815
        description="The translation.", examples=["좋은 아침이에요!"]
    )
    detectedLanguage: DetectedLanguage | list[DetectedLanguage] | None = Field(  # noqa: N815
        None,
        description="Only with source `auto`.",
        examples=[{"confidence": 92, "language": "en"}],
    )
    alternatives: list[str] | list[list[str]] | None = Field(
        None, description="Only if some are wanted.", examples=[["좋은 아침!"]]
    )


class Language(BaseModel):
    """A language that can be translated from."""

    code: str = Field(description="Its code in requests.", examples=["en"])
    name: str = Field(description="Its name in English.", examples=["English"])
    targets: list[str] = Field(
        description="What it goes into; itself, too, which changes nothing.",
        examples=[["en", "ko"]],
    )


class NamedLanguage(BaseModel):
    """A language."""

    code: str = Field(description="Its code.", examples=["en"])
    name: str = Field(description="Its name in English.", examples=["English"])


class LanguagePair(BaseModel):
    """What a page shows at first."""

    source: NamedLanguage = Field(
        description="From here.", examples=[{"code": "en", "name": "English"}]
    )
    target: NamedLanguage = Field(
        description="To here.", examples=[{"code": "ko", "name": "Korean"}]
    )


class Settings(BaseModel):
    """What a user interface needs to know."""

    apiKeys: bool = Field(description="Whether there are keys.", examples=[False])  # noqa: N815
    charLimit: int = Field(description="Characters a request.", examples=[100000])  # noqa: N815
    filesTranslation: bool = Field(  # noqa: N815
        description="Whether files are translated.", examples=[True]
    )
    frontendTimeout: int = Field(  # noqa: N815
        description="Milliseconds to wait for the end of typing.", examples=[500]
    )
    keyRequired: bool = Field(description="Whether one is needed.", examples=[False])  # noqa: N815
    language: LanguagePair = Field(
        description="The first direction.",
        examples=[
            {
                "source": {"code": "en", "name": "English"},
                "target": {"code": "ko", "name": "Korean"},
            }
        ],
    )
    suggestions: bool = Field(description="Always false.", examples=[False])
    supportedFilesFormat: list[str] = Field(  # noqa: N815
        description="Endings of files.", examples=[[".txt"]]
    )


class Health(BaseModel):
    """Translations can be asked for."""

    status: Literal["ok"] = Field("ok", description="Always `ok`.", examples=["ok"])
