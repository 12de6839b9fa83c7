"""From decoded sentences back to whole texts: hypotheses joined, alignments in the text's terms.

`language` is always the one that was translated into.
"""

from collections.abc import Sequence

from service.engine.bundle import Direction
from service.engine.engine import Engine
from service.engine.request import Decoded
from service.engine.vocabulary import Vocabulary
from service.text.alignment import Span, WordLink, link_words
from service.text.markup_projection import put_tags
from service.text.projection import Attention
from service.text.quality import Fault, QualityWarning
from service.text.restoration import restore
from service.text.rewriting import Chain
from service.text.segmentation import Segmentation
from service.translation.pieces import moved, shift_pieces, spans_of
from service.translation.preparation import PreparedText, Sentence
from service.translation.request import TranslationRequest
from service.translation.result import SentenceAlignment, TextHypothesis, Translation
from service.translation.review import Reviewed
from service.translation.scoring import calibration, score_sentences, text_confidence


def assemble(
    engine: Engine,
    direction: Direction,
    request: TranslationRequest,
    text: PreparedText,
    reviewed: Sequence[Reviewed],
) -> Translation:
    """The translation of one text, of its sentences."""
    vocabulary, target = engine.vocabulary, direction.target
    decoded = [each.decoded for each in reviewed]
    spelt = spell(vocabulary, target, text, decoded, request.decoding.target_prefix or "")
    best = [hypotheses[0] for hypotheses in spelt]
    spec = calibration(engine.manifest, direction)
    return Translation(
        direction.source,
        engine.manifest.name,
        join_sentences(text, decoded, spelt),
        align_sentences(vocabulary, target, text, decoded, best) if request.alignment else None,
        warnings=warn(text.segmentation, [each.faults for each in reviewed]),
        confidence=text_confidence(spec, text.segmentation.sentences, decoded),
        scores=score_sentences(vocabulary, spec, text, decoded, best)
        if request.token_scores
        else None,
    )


def spell(
    vocabulary: Vocabulary,
    language: str,
    text: PreparedText,
    sentences: Sequence[Decoded],
    prefix: str = "",
) -> list[list[Chain]]:
    """The hypotheses of each sentence: from what the model said to what it was not shown too.

    The first sentence was made to begin with `prefix`, and does so to the letter.
    """
    spelt = []
    for place, (sentence, decoded) in enumerate(zip(text.sentences, sentences, strict=True)):
        said = [vocabulary.decode(hypothesis.ids) for hypothesis in decoded.hypotheses]
        if prefix and place == 0:
            said = [vocabulary.continue_prefix(prefix, each) for each in said]
        attention = attention_of(vocabulary, language, sentence, decoded)
        # Only the best one has attention; in the others things find their places without.
        spelt.append(
            [
                complete(sentence, each, None if rank else attention)
                for rank, each in enumerate(said)
            ]
        )
    return spelt


def attention_of(
    vocabulary: Vocabulary, language: str, sentence: Sentence, decoded: Decoded
) -> Attention | None:
    """What the model looked at, if that is needed to put the sentence together."""
    if decoded.alignment is None or not sentence.needs_alignment:
        return None
    read = vocabulary.source_pieces(sentence.shown, language)
    said = vocabulary.target_pieces(decoded.hypotheses[0].ids)
    return Attention(decoded.alignment, spans_of(read), spans_of(said))


def complete(sentence: Sentence, said: str, attention: Attention | None) -> Chain:
    """A sentence that was said, with all that belongs into it."""
    restored = restore(sentence.shielded, sentence.terms, said, attention)
    rewriting = restored.rewriting
    if sentence.marked is None:
        return Chain(rewriting)
    if attention is not None:
        shown = sentence.shielded.rewriting
        attention = attention.moved(shown.backward, rewriting.forward)
    return Chain(rewriting, put_tags(sentence.marked, rewriting.after, restored.links, attention))


def join_sentences(
    text: PreparedText, sentences: Sequence[Decoded], spelt: Sequence[Sequence[Chain]]
) -> tuple[TextHypothesis, ...]:
    """Hypotheses of the whole text, best first.

    The i-th hypothesis of a text is made of the i-th hypotheses of its sentences.
    """
    count = max((len(sentence.hypotheses) for sentence in sentences), default=1)
    joined = []
    for rank in range(count):
        # A sentence with fewer hypotheses repeats its last one.
        ranks = [min(rank, len(sentence.hypotheses) - 1) for sentence in sentences]
        chosen = [s.hypotheses[r] for s, r in zip(sentences, ranks, strict=True)]
        texts = [each[r].after for each, r in zip(spelt, ranks, strict=True)]
        score, tokens = sum(h.score for h in chosen), sum(len(h.ids) for h in chosen)
        joined.append(TextHypothesis(text.segmentation.join(texts), score, tokens))
    return tuple(joined)


def warn(
    segmentation: Segmentation, found: Sequence[Sequence[Fault]]
) -> tuple[QualityWarning, ...]:
    """What is wrong with the sentences of a text, and where they stand in it."""
    if not any(found):
        return ()
    starts = segmentation.starts(segmentation.sentences)
    places = zip(segmentation.sentences, starts, found, strict=True)
    return tuple(
        QualityWarning(Span(start, start + len(sentence)), fault)
        for sentence, start, faults in places
        for fault in faults
    )


def align_sentences(
    vocabulary: Vocabulary,
    language: str,
    text: PreparedText,
    sentences: Sequence[Decoded],
    translated: Sequence[Chain],
) -> tuple[SentenceAlignment, ...]:
    """Pieces, spans, attention and word links of the best hypotheses. What the model was not shown
    counts as what stood for it."""
    segmentation = text.segmentation
    found = []
    for sentence, written, decoded, translation, source_start, target_start in zip(
        text.sentences,
        segmentation.sentences,
        sentences,
        translated,
        segmentation.starts(segmentation.sentences),
        segmentation.starts([each.after for each in translated]),
        strict=True,
    ):
        assert decoded.alignment is not None, "asked for, for every sentence"
        read = vocabulary.source_pieces(sentence.shown, language)
        said = vocabulary.target_pieces(decoded.hypotheses[0].ids)
        links = link_words(
            decoded.alignment,
            (sentence.shown, spans_of(read)),
            (vocabulary.decode(decoded.hypotheses[0].ids), spans_of(said)),
        )
        found.append(
            SentenceAlignment(
                Span(0, len(written)).shifted(source_start),
                Span(0, len(translation.after)).shifted(target_start),
                shift_pieces(moved(read, sentence.in_text), source_start),
                shift_pieces(moved(said, translation.forward), target_start),
                decoded.alignment,
                tuple(
                    WordLink(
                        sentence.in_text(link.source).shifted(source_start),
                        translation.forward(link.target).shifted(target_start),
                    )
                    for link in links
                ),
            )
        )
    return tuple(found)
