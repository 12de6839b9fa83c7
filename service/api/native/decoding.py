"""How a request says how to decode. Types and ranges; what must agree is checked elsewhere."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from service.api.texts import sound_text
from service.translation.decoding import DecodingChoice


class Decoding(BaseModel):
    """How to search; whatever is left out is the model's default."""

    model_config = ConfigDict(extra="forbid", strict=True)

    strategy: Literal["greedy", "beam", "sample"] | None = Field(
        None,
        description="`greedy` is fastest, `beam` better; `sample` lets chance choose.",
        examples=["beam"],
    )
    beam_size: int | None = Field(
        None, ge=1, description="Hypotheses kept side by side.", examples=[4]
    )
    n_best: int | None = Field(
        None, ge=1, description="Hypotheses returned; at most beam_size.", examples=[2]
    )
    length_penalty: float | None = Field(
        None,
        ge=0,
        le=5,
        allow_inf_nan=False,
        description="Alpha of Wu et al. 2016; larger favours longer translations.",
        examples=[1.0],
    )
    max_target_length: int | None = Field(
        None, ge=1, description="Most pieces of a translated sentence.", examples=[100]
    )
    repetition_penalty: float | None = Field(
        None,
        ge=1,
        le=10,
        allow_inf_nan=False,
        description="Makes what was said before less likely, Keskar et al. 2019; 1 does not.",
        examples=[1.2],
    )
    no_repeat_ngram: int | None = Field(
        None,
        ge=0,
        le=20,
        description="No sequence of so many pieces is said twice in a sentence; 0 allows all.",
        examples=[3],
    )
    temperature: float | None = Field(
        None,
        gt=0,
        le=5,
        allow_inf_nan=False,
        description="Of `sample`: below 1 bolder, above 1 more adventurous.",
        examples=[0.8],
    )
    top_k: int | None = Field(
        None,
        ge=1,
        le=50,
        description="Of `sample`: the likeliest pieces to choose among.",
        examples=[10],
    )
    seed: int | None = Field(
        None,
        ge=0,
        le=2**63 - 1,
        description="Of `sample`: the same seed gives the same answer.",
        examples=[7],
    )
    target_prefix: Annotated[str, AfterValidator(sound_text)] | None = Field(
        None,
        max_length=2000,
        description="How the translation begins; the model goes on from there.",
        examples=["저는 학"],
    )

    def choice(self) -> DecodingChoice:
        """The same in the pipeline's words."""
        return DecodingChoice(**self.model_dump())
