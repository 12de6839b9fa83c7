"""All Prometheus metrics, one naming scheme: `seq2serve_*`, base units, bounded labels.

Labels hold only model names, directions, route templates and enumerations, never a caller's text.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
POWERS_OF_TWO = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)

STAGES = ("segment", "tokenise", "queue", "decode", "detokenise", "total")
"""The stages of a translation; queue and decode are counted for each sentence."""

CACHE_RESULTS = ("hit", "joined", "miss")
"""Finished before, being decoded for somebody else, or to be decoded."""

Queue = Callable[[], tuple[int, int]]
Cache = Callable[[], tuple[int, int]]


class QueueCollector(Collector):
    """Reads the queues when somebody looks, so that the hot path does nothing for it."""

    def __init__(self) -> None:
        self.queues: dict[str, Queue] = {}

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Sentences and source tokens waiting, for each model."""
        sentences = GaugeMetricFamily(
            "seq2serve_waiting_sentences", "Sentences waiting for a batch.", labels=["model"]
        )
        tokens = GaugeMetricFamily(
            "seq2serve_waiting_tokens", "Source tokens waiting for a batch.", labels=["model"]
        )
        for model, queue in self.queues.items():
            waiting = queue()
            sentences.add_metric([model], waiting[0])
            tokens.add_metric([model], waiting[1])
        return sentences, tokens


def _count(counts: Callable[[], Mapping[str, int]], state: str) -> float:
    return counts()[state]


class Metrics:
    """Everything that is measured, in one registry."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self.http_requests = Counter(
            "seq2serve_http_requests",
            "HTTP requests.",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self.http_seconds = Histogram(
            "seq2serve_http_request_duration_seconds",
            "From the request's first byte to the answer's last.",
            ["method", "route"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self.http_in_flight = Gauge(
            "seq2serve_http_requests_in_flight",
            "HTTP requests being answered.",
            registry=self.registry,
        )
        self.rejections = Counter(
            "seq2serve_rejections", "Translations turned away.", ["reason"], registry=self.registry
        )
        self.stage_seconds = Histogram(
            "seq2serve_stage_duration_seconds",
            "Time in each stage of a translation.",
            ["model", "stage"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self.batch_rows = Histogram(
            "seq2serve_batch_sentences",
            "Sentences that a worker takes up together.",
            ["model"],
            buckets=POWERS_OF_TWO[:9],
            registry=self.registry,
        )
        self.batch_tokens = Histogram(
            "seq2serve_batch_source_tokens",
            "Source tokens that a worker takes up together.",
            ["model"],
            buckets=POWERS_OF_TWO,
            registry=self.registry,
        )
        self.source_tokens = Counter(
            "seq2serve_source_tokens",
            "Source tokens read.",
            ["model", "direction"],
            registry=self.registry,
        )
        self.target_tokens = Counter(
            "seq2serve_target_tokens",
            "Target tokens returned.",
            ["model", "direction"],
            registry=self.registry,
        )
        self.characters = Counter(
            "seq2serve_characters",
            "Characters of source text.",
            ["model", "direction"],
            registry=self.registry,
        )
        self.sentences_finished = Counter(
            "seq2serve_finished_sentences",
            "Sentences decoded.",
            ["model", "reason"],
            registry=self.registry,
        )
        self.worker_deaths = Counter(
            "seq2serve_worker_deaths",
            "Decoding workers that died and were replaced.",
            ["model"],
            registry=self.registry,
        )
        self.second_tries = Counter(
            "seq2serve_second_tries",
            "Bad sentences that were decoded again, with other options.",
            ["model", "result"],
            registry=self.registry,
        )
        self.quality_warnings = Counter(
            "seq2serve_quality_warnings",
            "Sentences that were answered with a warning.",
            ["model", "reason"],
            registry=self.registry,
        )
        self.cache_requests = Counter(
            "seq2serve_sentence_cache_requests",
            "Sentences looked up in the cache.",
            ["model", "result"],
            registry=self.registry,
        )
        self.cache_entries = Gauge(
            "seq2serve_sentence_cache_entries",
            "Finished sentences in the cache.",
            ["model"],
            registry=self.registry,
        )
        self.cache_bytes = Gauge(
            "seq2serve_sentence_cache_bytes",
            "Memory that the finished sentences take, about.",
            ["model"],
            registry=self.registry,
        )
        self.model_info = Gauge(
            "seq2serve_model_info",
            "Loaded models.",
            ["model", "version", "precision"],
            registry=self.registry,
        )
        self.documents = Gauge(
            "seq2serve_documents",
            "Documents that are being translated or wait to be fetched.",
            ["state"],
            registry=self.registry,
        )
        self.queues = QueueCollector()
        self.registry.register(self.queues)

    def characters_translated(self) -> int:
        """Of all models together, since the start."""
        samples = (s for metric in self.characters.collect() for s in metric.samples)
        return int(sum(s.value for s in samples if s.name.endswith("_total")))

    def watch_documents(self, counts: Callable[[], Mapping[str, int]]) -> None:
        """Reads how many there are in each state whenever metrics are scraped."""
        for state in counts():
            self.documents.labels(state).set_function(partial(_count, counts, state))

    def for_model(self, name: str) -> "ModelMetrics":
        """The same metrics with the model's label filled in."""
        return ModelMetrics(self, name)


class ModelMetrics:
    """What an engine reports of itself."""

    def __init__(self, metrics: Metrics, name: str) -> None:
        self._metrics = metrics
        self._name = name
        self._rows = metrics.batch_rows.labels(name)
        self._tokens = metrics.batch_tokens.labels(name)
        self._stages = {stage: metrics.stage_seconds.labels(name, stage) for stage in STAGES}
        self._deaths = metrics.worker_deaths.labels(name)
        requests = metrics.cache_requests
        self._cache = {result: requests.labels(name, result) for result in CACHE_RESULTS}

    def watch_queue(self, queue: Queue) -> None:
        """Reads the queue's length whenever metrics are scraped."""
        self._metrics.queues.queues[self._name] = queue

    def watch_cache(self, cache: Cache) -> None:
        """Reads the cache's entries and bytes whenever metrics are scraped."""
        self._metrics.cache_entries.labels(self._name).set_function(lambda: cache()[0])
        self._metrics.cache_bytes.labels(self._name).set_function(lambda: cache()[1])

    def cache_request(self, result: str) -> None:
        """A sentence was looked up: one of CACHE_RESULTS."""
        self._cache[result].inc()

    def batch(self, sentences: int, tokens: int) -> None:
        """A batch starts."""
        self._rows.observe(sentences)
        self._tokens.observe(tokens)

    def finished(self, reason: str) -> None:
        """A sentence is decoded."""
        self._metrics.sentences_finished.labels(self._name, reason).inc()

    def worker_died(self) -> None:
        """A decoding worker is gone."""
        self._deaths.inc()

    def second_try(self, better: bool) -> None:
        """A bad sentence was decoded again."""
        result = "better" if better else "no_better"
        self._metrics.second_tries.labels(self._name, result).inc()

    def quality_warning(self, reason: str) -> None:
        """A sentence is answered that cannot be right, for one of a few reasons."""
        self._metrics.quality_warnings.labels(self._name, reason).inc()

    def cancelled(self) -> None:
        """A sentence was decoded for nobody."""
        self.finished("cancelled")

    def stage(self, stage: str, seconds: float) -> None:
        """A stage took this long."""
        self._stages[stage].observe(seconds)

    def translated(self, direction: str, source: int, target: int, characters: int) -> None:
        """A request is answered: source tokens, target tokens, characters."""
        self._metrics.source_tokens.labels(self._name, direction).inc(source)
        self._metrics.target_tokens.labels(self._name, direction).inc(target)
        self._metrics.characters.labels(self._name, direction).inc(characters)
