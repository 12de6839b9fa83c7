"""Does an imported model say what the library says that it was made for?"""

from pathlib import Path

import pytest

from model_export.importers.agreement import decode
from model_export.importers.assemble import assemble
from model_export.importers.imported import Imported
from model_export.importers.originals import open_original
from model_export.importers.write import Wanted, write_float32
from model_export.verify import verify_bundle
from service.engine.bundle import load_bundle
from service.engine.model_loader import open_model
from service.engine.request import FinishReason
from service.engine.vocabulary import load_vocabulary

LONGEST = 20


def assert_alike(imported: Imported, folder: Path, tmp_path: Path) -> None:
    """Greedy and beams of 2 and 4: pieces and scores of all hypotheses that came to their end."""
    assembled = assemble(imported)
    bundle_path = tmp_path / "bundle"
    texts = write_float32(imported, assembled, bundle_path, Wanted("tiny"))[:8]
    verify_bundle(bundle_path)
    bundle = load_bundle(bundle_path)
    vocabulary, model = load_vocabulary(bundle), open_model(bundle)
    sources = [vocabulary.encode_source(*text) for text in texts]
    rows = [assembled.source.rows[source].tolist() for source in sources]
    said = set()
    with open_original(imported, folder) as original:
        for beam_size in (1, 2, 4):
            ours = decode(bundle, model, sources, beam_size, LONGEST)
            theirs = original.decode(rows, beam_size, LONGEST)
            for mine, other in zip(ours, theirs, strict=True):
                assert mine[0].ids == other[0].rows
                assert mine[0].score == pytest.approx(other[0].score, abs=1e-4)
                if all(h.finish_reason is FinishReason.EOS for h in mine):
                    assert [h.ids for h in mine] == [h.rows for h in other]
                    scores = [h.score for h in other]
                    assert [h.score for h in mine] == pytest.approx(scores, abs=1e-4)
                said |= set(mine[0].ids)
    assert len(said) > 2
