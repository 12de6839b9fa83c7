"""All Prometheus metrics, one naming scheme: `seq2serve_*`, base units, bounded labels.

Labels hold only names and versions of bundles, directions, route templates and enumerations, never
a caller's text. Knows no model: whoever measures calls it, or is asked when somebody scrapes.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
POWERS_OF_TWO = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)
SHARES = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0)
ROUTE = ("method", "route")
MODEL = ("model", "version")

STAGES = ("segment", "tokenise", "queue", "encode", "decode", "detokenise")
"""The stages of a translation, in their order; queue, encode and decode are counted for each
sentence. `total` is counted beside them."""

CACHE_RESULTS = ("hit", "joined", "miss")
"""Finished before, being decoded for somebody else, or to be decoded."""


class Readings(NamedTuple):
    """What an engine has at this moment."""

    waiting_sentences: int
    waiting_tokens: int
    running_sentences: int
    running_tokens: int
    sentence_cache_entries: int
    sentence_cache_bytes: int


READINGS = {
    "waiting_sentences": "Sentences that wait for a worker.",
    "waiting_tokens": "Source tokens that wait for a worker.",
    "running_sentences": "Sentences that are being decoded.",
    "running_tokens": "Source tokens of the sentences that are being decoded.",
    "sentence_cache_entries": "Finished sentences in the cache.",
    "sentence_cache_bytes": "Memory that the finished sentences take, about.",
}

LOAD_RESULTS = ("loaded", "failed")

Read = Callable[[], Readings]


class EngineCollector(Collector):
    """Asks the engines when somebody looks, so that the hot path does nothing for it.

    While a bundle is replaced there are two engines of it: their readings are added up.
    """

    def __init__(self) -> None:
        self._reads: dict[tuple[str, str], list[Read]] = {}

    def watch(self, model: tuple[str, str], read: Read) -> None:
        """Asks this engine too, from now on."""
        self._reads[model] = [*self._reads.get(model, []), read]

    def unwatch(self, model: tuple[str, str], read: Read) -> None:
        """Forgets an engine; one that is not watched is no fault."""
        left = [other for other in self._reads.get(model, []) if other != read]
        if left:
            self._reads[model] = left
        else:
            self._reads.pop(model, None)

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """A family for each reading."""
        families = {
            name: GaugeMetricFamily(f"seq2serve_{name}", words, labels=MODEL)
            for name, words in READINGS.items()
        }
        for model, reads in list(self._reads.items()):
            now = [read() for read in reads]
            for name, values in zip(Readings._fields, zip(*now, strict=True), strict=True):
                families[name].add_metric(model, sum(values))
        return families.values()


def _count(counts: Callable[[], Mapping[str, int]], state: str) -> float:
    return counts()[state]


class Metrics:
    """Everything that is measured, in one registry."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self.engines = EngineCollector()
        self.registry.register(self.engines)
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self._of_models: list[Counter | Gauge | Histogram] = []
        self._forgotten_characters = 0.0
        self._describe_requests()
        self._describe_models()

    def characters_translated(self) -> int:
        """Of all models together, since the start."""
        return int(self._forgotten_characters + self._count_characters())

    def _count_characters(self) -> float:
        samples = (s for metric in self.characters.collect() for s in metric.samples)
        return sum(s.value for s in samples if s.name.endswith("_total"))

    def watch_documents(self, counts: Callable[[], Mapping[str, int]]) -> None:
        """Reads how many there are in each state whenever metrics are scraped."""
        for state in counts():
            self.documents.labels(state).set_function(partial(_count, counts, state))

    def for_model(self, name: str, version: str = "1") -> "ModelMetrics":
        """The same metrics with the model's labels filled in."""
        return ModelMetrics(self, (name, version))

    def model_loaded(
        self, model: tuple[str, str], precision: str, size: int, seconds: float
    ) -> None:
        """A bundle is warm: bytes that it takes, about, and how long that took."""
        self.model_loads.labels("loaded").inc()
        self.model_info.labels(*model, precision).set(1)
        self.model_bytes.labels(*model).set(size)
        self.model_load_seconds.labels(*model).set(seconds)

    def forget(self, name: str, version: str) -> None:
        """Ends the series of a bundle that is gone, so that versions do not add up for ever."""
        before = self._count_characters()
        for metric in self._of_models:
            metric.remove_by_labels({"model": name, "version": version})
        self._forgotten_characters += before - self._count_characters()

    def _describe_requests(self) -> None:
        self.http_requests = self._counter("http_requests", "HTTP requests.", *ROUTE, "status")
        self.http_seconds = self._histogram(
            "http_request_duration_seconds",
            "From the request's first byte to the answer's last.",
            SECONDS,
            *ROUTE,
        )
        self.http_in_flight = Gauge(
            "seq2serve_http_requests_in_flight",
            "HTTP requests being answered.",
            registry=self.registry,
        )
        self.rejections = self._counter("rejections", "Translations turned away.", "reason")
        self.documents = self._gauge(
            "documents", "Documents that are being translated or wait to be fetched.", "state"
        )

    def _describe_models(self) -> None:
        self.stage_seconds = self._histogram(
            "stage_duration_seconds",
            "Time in each stage of a translation.",
            SECONDS,
            *MODEL,
            "stage",
        )
        self.batch_sentences = self._histogram(
            "batch_sentences",
            "Sentences that a worker takes up together.",
            POWERS_OF_TWO[:9],
            *MODEL,
        )
        self.batch_tokens = self._histogram(
            "batch_source_tokens",
            "Source tokens that a worker takes up together.",
            POWERS_OF_TWO,
            *MODEL,
        )
        self.padding = self._histogram(
            "batch_padding_ratio",
            "Share of padding in the source tokens of what runs side by side.",
            SHARES,
            *MODEL,
        )
        self.steps = self._counter("decode_steps", "Steps of the decoder.", *MODEL)
        self.rows = self._counter("decode_rows", "Hypotheses in the decoder's steps.", *MODEL)
        directed = (*MODEL, "direction")
        self.source_tokens = self._counter("source_tokens", "Source tokens read.", *directed)
        self.target_tokens = self._counter("target_tokens", "Target tokens returned.", *directed)
        self.characters = self._counter("characters", "Characters of source text.", *directed)
        reasoned = (*MODEL, "reason")
        self.finished = self._counter("finished_sentences", "Sentences decoded.", *reasoned)
        self.abandoned = self._counter(
            "abandoned_sentences", "Sentences whose caller did not wait to the end.", *MODEL
        )
        self.worker_deaths = self._counter(
            "worker_deaths", "Decoding workers that died and were replaced.", *MODEL
        )
        self.second_tries = self._counter(
            "second_tries",
            "Bad sentences that were decoded again, with other options.",
            *MODEL,
            "result",
        )
        self.quality_warnings = self._counter(
            "quality_warnings", "Sentences that were answered with a warning.", *reasoned
        )
        self.cache_requests = self._counter(
            "sentence_cache_requests", "Sentences looked up in the cache.", *MODEL, "result"
        )
        self.model_info = self._gauge("model_info", "Loaded models.", *MODEL, "precision")
        self.model_bytes = self._gauge("model_bytes", "Memory of loaded models, about.", *MODEL)
        self.model_load_seconds = self._gauge(
            "model_load_seconds", "How long loading and warming up took.", *MODEL
        )
        self.model_loads = self._counter("model_loads", "Bundles opened.", "result")
        for result in LOAD_RESULTS:
            self.model_loads.labels(result)  # from zero, or the first failure would be no increase
        self.model_unloads = self._counter("model_unloads", "Engines closed.", "reason")

    def _counter(self, name: str, words: str, *labels: str) -> Counter:
        metric = Counter(f"seq2serve_{name}", words, labels, registry=self.registry)
        self._note(metric, labels)
        return metric

    def _gauge(self, name: str, words: str, *labels: str) -> Gauge:
        metric = Gauge(f"seq2serve_{name}", words, labels, registry=self.registry)
        self._note(metric, labels)
        return metric

    def _histogram(
        self, name: str, words: str, buckets: Sequence[float], *labels: str
    ) -> Histogram:
        metric = Histogram(
            f"seq2serve_{name}", words, labels, buckets=buckets, registry=self.registry
        )
        self._note(metric, labels)
        return metric

    def _note(self, metric: Counter | Gauge | Histogram, labels: Sequence[str]) -> None:
        if "model" in labels:
            self._of_models.append(metric)


class ModelMetrics:
    """What an engine reports of itself. The series are looked up once: a step has little time."""

    def __init__(self, metrics: Metrics, model: tuple[str, str]) -> None:
        self._metrics = metrics
        self._model = model
        self._sentences = metrics.batch_sentences.labels(*model)
        self._tokens = metrics.batch_tokens.labels(*model)
        self._padding = metrics.padding.labels(*model)
        self._steps = metrics.steps.labels(*model)
        self._rows = metrics.rows.labels(*model)
        seconds = metrics.stage_seconds
        self._stages = {stage: seconds.labels(*model, stage) for stage in (*STAGES, "total")}
        self._deaths = metrics.worker_deaths.labels(*model)
        looked_up = metrics.cache_requests
        self._cache = {result: looked_up.labels(*model, result) for result in CACHE_RESULTS}

    def watch(self, read: Read) -> None:
        """Asks the engine for its readings whenever metrics are scraped."""
        self._metrics.engines.watch(self._model, read)

    def unwatch(self, read: Read) -> None:
        """The engine has stopped."""
        self._metrics.engines.unwatch(self._model, read)

    def cache_request(self, result: str) -> None:
        """A sentence was looked up: one of CACHE_RESULTS."""
        self._cache[result].inc()

    def batch(self, lengths: Sequence[int]) -> None:
        """A worker takes up sentences of so many source tokens each."""
        self._sentences.observe(len(lengths))
        self._tokens.observe(sum(lengths))

    def padded(self, lengths: Sequence[int]) -> None:
        """Sentences of so many source tokens each run side by side from now on."""
        self._padding.observe(1 - sum(lengths) / (len(lengths) * max(lengths)))

    def step(self, rows: int) -> None:
        """The decoder has said a piece in each row."""
        self._steps.inc()
        self._rows.inc(rows)

    def finished(self, reason: str) -> None:
        """A sentence is decoded."""
        self._metrics.finished.labels(*self._model, reason).inc()

    def worker_died(self) -> None:
        """A decoding worker is gone."""
        self._deaths.inc()

    def abandoned(self) -> None:
        """A sentence's caller left, or its time was up."""
        self._metrics.abandoned.labels(*self._model).inc()

    def second_try(self, better: bool) -> None:
        """A bad sentence was decoded again."""
        result = "better" if better else "no_better"
        self._metrics.second_tries.labels(*self._model, result).inc()

    def quality_warning(self, reason: str) -> None:
        """A sentence is answered that cannot be right, for one of a few reasons."""
        self._metrics.quality_warnings.labels(*self._model, reason).inc()

    def stage(self, stage: str, seconds: float) -> None:
        """A stage took this long."""
        self._stages[stage].observe(seconds)

    def translated(self, direction: str, source: int, target: int, characters: int) -> None:
        """A request is answered: source tokens, target tokens, characters."""
        labels = (*self._model, direction)
        self._metrics.source_tokens.labels(*labels).inc(source)
        self._metrics.target_tokens.labels(*labels).inc(target)
        self._metrics.characters.labels(*labels).inc(characters)
