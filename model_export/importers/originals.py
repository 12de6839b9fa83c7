"""The libraries that models were made for, where they are installed: the judges of an import.

Both searches are asked for sums of log-probabilities (a length penalty of 0), to stop at as many
ends as beams, and to force no end at the longest target, as our search does.
"""

import importlib.util
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from model_export.importers import marian_hf, marian_npz
from model_export.importers.imported import Imported

NEARLY_NOTHING = 1e-9
"""A length penalty that changes no score. At 0 CTranslate2 would go on until the best is at its
end, however many others are."""


@dataclass(frozen=True, slots=True)
class Said:
    """A hypothesis as rows of the target's table, without eos, and its score with eos."""

    rows: tuple[int, ...]
    score: float


class Original(Protocol):
    """Decodes sources, rows of the source's table -> hypotheses of each, best first."""

    def decode(
        self, sources: Sequence[Sequence[int]], beam_size: int, longest: int
    ) -> list[list[Said]]:
        """All hypotheses of a beam."""


@contextmanager
def open_original(imported: Imported, path: Path) -> Iterator[Original | None]:
    """The library's own reading of the files; None if it is not installed."""
    kind = imported.origin.format
    needed = "transformers" if kind == marian_hf.FORMAT else "ctranslate2"
    if importlib.util.find_spec(needed) is None:
        yield None
    elif needed == "transformers":
        yield HuggingFace(imported, path)
    elif kind == marian_npz.FORMAT:
        from ctranslate2.converters import OpusMTConverter

        with tempfile.TemporaryDirectory() as folder:
            converted = OpusMTConverter(str(path)).convert(str(Path(folder) / "model"))
            yield CTranslate2(imported, Path(converted))
    else:
        yield CTranslate2(imported, path)


class HuggingFace:
    """`MarianMTModel.generate`."""

    def __init__(self, imported: Imported, path: Path) -> None:
        from transformers import MarianMTModel

        # Weights of float16 are compared as float32 too; positions would be rounded with them.
        exactly: dict[str, Any] = {"dtype": "float32", "local_files_only": True}
        model: Any = MarianMTModel.from_pretrained(path, **exactly)  # nosec B615
        self._model = model.eval()
        target = imported.target.pieces
        self._bad = [[target.index(piece)] for piece in sorted(imported.forbidden)] or None
        self._eos = target.index(imported.target.eos)

    def decode(
        self, sources: Sequence[Sequence[int]], beam_size: int, longest: int
    ) -> list[list[Said]]:
        """All hypotheses of a beam."""
        import torch

        pad: int = self._model.config.pad_token_id
        width = max(map(len, sources))
        ids = torch.tensor([[*source, *[pad] * (width - len(source))] for source in sources])
        mask = torch.tensor([[1] * len(s) + [0] * (width - len(s)) for s in sources])
        with torch.inference_mode():
            found = self._model.generate(
                input_ids=ids,
                attention_mask=mask,
                num_beams=beam_size,
                num_return_sequences=beam_size,
                max_new_tokens=longest,
                max_length=None,
                do_sample=False,
                early_stopping=beam_size > 1,
                length_penalty=0.0,
                renormalize_logits=True,
                bad_words_ids=self._bad,
                forced_eos_token_id=None,
                return_dict_in_generate=True,
                output_scores=True,
            )
        indices = found.beam_indices if beam_size > 1 else None
        steps = self._model.compute_transition_scores(found.sequences, found.scores, indices)
        said = []
        for row, scores in zip(found.sequences[:, 1:].tolist(), steps.tolist(), strict=True):
            end = row.index(self._eos) if self._eos in row else len(row)
            score = sum(scores[: min(end + 1, len(scores))])
            said.append(Said(tuple(row[:end]), score))
        return [said[i : i + beam_size] for i in range(0, len(said), beam_size)]


class CTranslate2:
    """`ctranslate2.Translator`, computing in float32."""

    def __init__(self, imported: Imported, path: Path) -> None:
        import ctranslate2

        self._translator: Any = ctranslate2.Translator(
            str(path), compute_type="float32", inter_threads=1, intra_threads=1
        )
        self._source, self._target = imported.source, imported.target.pieces
        self._ends = imported.library_ends

    def decode(
        self, sources: Sequence[Sequence[int]], beam_size: int, longest: int
    ) -> list[list[Said]]:
        """All hypotheses of a beam."""
        tokens = [[self._source.pieces[row] for row in source] for source in sources]
        if self._ends:
            tokens = [each[:-1] for each in tokens]
        found = self._translator.translate_batch(
            tokens,
            beam_size=beam_size,
            num_hypotheses=beam_size,
            length_penalty=NEARLY_NOTHING,
            max_decoding_length=longest,
            min_decoding_length=0,
            max_input_length=0,
            return_scores=True,
        )
        numbers = {piece: row for row, piece in enumerate(self._target)}
        return [
            [
                Said(tuple(numbers[t] for t in ids), score)
                for ids, score in zip(each.hypotheses, each.scores, strict=True)
            ]
            for each in found
        ]
