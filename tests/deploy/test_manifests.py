"""What schemas of Kubernetes do not see: that the parts of the manifests fit each other and the
service. Skipped with a reason where kubectl is missing.
"""

import pytest

from service import __version__
from service.settings import Settings
from tests.deploy.reading import (
    COMPOSE,
    OVERLAYS,
    PROMETHEUS,
    ROOT,
    metric_names,
    names_in,
    read,
    rendered,
    routes,
)

NAME = "seq2serve"
SLOWEST = 300
"""Source tokens a second and core that a drain must be planned for; docs/operations.md measures
about three times as many for the shipped model."""
LONGEST_BATCH = 10
"""Seconds that the batch may take which is being decoded when SIGTERM comes."""


@pytest.fixture(params=OVERLAYS)
def objects(request):
    """The objects of one overlay."""
    return rendered(f"k8s/overlays/{request.param}")


@pytest.fixture
def pod(objects):
    """What its Deployment runs."""
    return objects["Deployment", NAME]["spec"]["template"]


@pytest.fixture
def container(pod):
    """The service itself."""
    (container,) = pod["spec"]["containers"]
    return container


def config(objects):
    """The settings, under whatever name kustomize gave them."""
    (found,) = (o for (kind, _), o in objects.items() if kind == "ConfigMap")
    return found


def seconds_to_drain(waiting_tokens: int, cores: int) -> float:
    """How long a full queue takes at the slowest speed that is planned for."""
    return waiting_tokens / (SLOWEST * cores) + LONGEST_BATCH


def test_selectors_choose_the_pods(objects, pod):
    """All of them; one that says nothing would choose every pod or none."""
    labels = pod["metadata"]["labels"]
    selectors = [
        objects["Deployment", NAME]["spec"]["selector"]["matchLabels"],
        objects["Service", NAME]["spec"]["selector"],
        objects["PodDisruptionBudget", NAME]["spec"]["selector"]["matchLabels"],
        objects["NetworkPolicy", NAME]["spec"]["podSelector"]["matchLabels"],
        *(
            constraint["labelSelector"]["matchLabels"]
            for constraint in pod["spec"]["topologySpreadConstraints"]
        ),
    ]
    for selector in selectors:
        assert selector
        assert selector.items() <= labels.items()
        # A new version must not change what a Deployment selects.
        assert "app.kubernetes.io/version" not in selector


def test_everything_lives_in_one_namespace(objects):
    """The namespace itself is there, and admits only restricted pods."""
    (namespace,) = (o for (kind, _), o in objects.items() if kind == "Namespace")
    labels = namespace["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    assert {
        o["metadata"].get("namespace") for (kind, _), o in objects.items() if kind != "Namespace"
    } == {namespace["metadata"]["name"]}


def test_ports_meet(objects, container):
    """Service, policy and probes name a port of the container, which the image listens on."""
    (port,) = container["ports"]
    assert port == {"name": "http", "containerPort": Settings().port}
    assert objects["Service", NAME]["spec"]["ports"][0]["targetPort"] == port["name"]
    (rule,) = objects["NetworkPolicy", NAME]["spec"]["ingress"]
    assert rule["ports"] == [{"port": port["name"]}]
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container[probe]["httpGet"]["port"] == port["name"]


def test_probes_ask_routes_that_exist(container):
    """Liveness never asks whether models are loaded, or a slow load would be killed."""
    paths = {
        probe: container[f"{probe}Probe"]["httpGet"]["path"]
        for probe in ("startup", "liveness", "readiness")
    }
    assert paths == {"startup": "/startupz", "liveness": "/livez", "readiness": "/readyz"}
    for path in paths.values():
        assert "get" in routes()[path]


def test_the_container_has_no_rights(pod, container):
    """What the restricted profile asks for, and a file system that is only read."""
    everyone, own = pod["spec"]["securityContext"], container["securityContext"]
    assert everyone["runAsNonRoot"] is True
    assert everyone["runAsUser"] == 10001
    assert everyone["seccompProfile"] == {"type": "RuntimeDefault"}
    assert own["allowPrivilegeEscalation"] is False
    assert own["readOnlyRootFilesystem"] is True
    assert own["capabilities"] == {"drop": ["ALL"]}
    assert pod["spec"]["automountServiceAccountToken"] is False


def test_a_service_of_the_same_name_sets_no_setting(objects, pod):
    """Service links would set SEQ2SERVE_PORT to tcp://..., which is no port."""
    assert objects["Service", NAME]
    assert pod["spec"]["enableServiceLinks"] is False


def test_settings_are_settings(objects, container):
    """Every name is one that the service reads, every value one that it takes."""
    data = config(objects)["data"]
    own = {variable["name"] for variable in container["env"]}
    names = {name.removeprefix("SEQ2SERVE_").lower() for name in data.keys() | own}
    assert names <= set(Settings.model_fields)
    Settings(**{name.removeprefix("SEQ2SERVE_").lower(): value for name, value in data.items()})
    (source,) = container["envFrom"]
    assert source == {"configMapRef": {"name": config(objects)["metadata"]["name"]}}


def test_a_full_queue_drains_within_the_grace_period(objects, pod, container):
    """preStop counts too: the grace period begins with it."""
    wait = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    readiness = container["readinessProbe"]
    assert wait >= readiness["periodSeconds"] * readiness["failureThreshold"]
    tokens = int(config(objects)["data"]["SEQ2SERVE_WAITING_TOKENS"])
    cores = int(container["resources"]["requests"]["cpu"])
    needed = wait + seconds_to_drain(tokens, cores)
    assert pod["spec"]["terminationGracePeriodSeconds"] >= needed


def test_decoding_threads_are_the_cores_that_are_requested(container):
    """The service would count the cores of the node."""
    (workers,) = (v for v in container["env"] if v["name"] == "SEQ2SERVE_WORKERS")
    source = workers["valueFrom"]["resourceFieldRef"]
    assert source == {"containerName": container["name"], "resource": "requests.cpu"}
    resources = container["resources"]
    assert resources["limits"]["memory"] == resources["requests"]["memory"]


def test_images_are_pinned(objects, pod):
    """A version in every tag, the same everywhere."""
    containers = pod["spec"].get("initContainers", []) + pod["spec"]["containers"]
    version = objects["Deployment", NAME]["metadata"]["labels"]["app.kubernetes.io/version"]
    assert {container["image"] for container in containers} == {f"seq2serve:{version}"}
    assert version == __version__


def test_scaled_deployments_leave_their_replicas_alone(objects):
    """A number in the manifest would undo the scaling at every apply."""
    scaled = any(kind in ("HorizontalPodAutoscaler", "ScaledObject") for kind, _ in objects)
    assert ("replicas" in objects["Deployment", NAME]["spec"]) is not scaled


def test_the_autoscaler_asks_for_a_metric_that_exists():
    """And the adapter makes it out of the same one."""
    autoscaler = rendered("k8s/overlays/production")["HorizontalPodAutoscaler", NAME]["spec"]
    assert autoscaler["scaleTargetRef"]["name"] == NAME
    pods = [metric["pods"] for metric in autoscaler["metrics"] if metric["type"] == "Pods"]
    (name,) = (metric["metric"]["name"] for metric in pods)
    assert name in metric_names()
    (rule,) = read(ROOT / "k8s/prometheus-adapter-values.yaml")["rules"]["custom"]
    assert rule["name"]["as"] == name
    assert names_in(rule["seriesQuery"]) == {name}


def test_keda_and_the_autoscaler_agree():
    """The same limits, threshold and pace."""
    hpa = rendered("k8s/overlays/production")["HorizontalPodAutoscaler", NAME]["spec"]
    keda = rendered("k8s/overlays/production-keda")["ScaledObject", NAME]["spec"]
    assert (keda["minReplicaCount"], keda["maxReplicaCount"]) == (
        hpa["minReplicas"],
        hpa["maxReplicas"],
    )
    waiting, cpu = keda["triggers"]
    assert names_in(waiting["metadata"]["query"]) <= metric_names()
    assert waiting["metadata"]["threshold"] == hpa["metrics"][0]["pods"]["target"]["averageValue"]
    utilization = hpa["metrics"][1]["resource"]["target"]["averageUtilization"]
    assert int(cpu["metadata"]["value"]) == utilization
    assert keda["advanced"]["horizontalPodAutoscalerConfig"]["behavior"] == hpa["behavior"]


@pytest.mark.parametrize("overlay", ["production", "production-keda"])
def test_the_monitor_finds_the_service(overlay):
    """By its labels, its port and a route that exists."""
    objects = rendered(f"k8s/overlays/{overlay}")
    monitor = objects["ServiceMonitor", NAME]["spec"]
    service = objects["Service", NAME]
    wanted = monitor["selector"]["matchLabels"]
    assert wanted.items() <= service["metadata"]["labels"].items()
    (endpoint,) = monitor["endpoints"]
    assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
    assert endpoint["path"] in routes()


def test_the_cluster_has_the_rules_of_compose():
    """Word for word; promtool tests only the one file."""
    rules = read(ROOT / "k8s/components/monitoring/prometheusrule.yaml")
    assert rules["spec"]["groups"] == read(PROMETHEUS / "rules.yaml")["groups"]


def test_alerts_know_how_long_the_queue_may_get():
    """Where the rules run, the setting is what they were written for."""
    alerts = {
        rule["alert"]: rule["expr"]
        for group in read(PROMETHEUS / "rules.yaml")["groups"]
        for rule in group["rules"]
        if "alert" in rule
    }
    environment = read(COMPOSE)["services"]["seq2serve"]["environment"]
    limits = {int(environment["SEQ2SERVE_WAITING_TOKENS"])}
    for overlay in ("production", "production-keda"):
        data = config(rendered(f"k8s/overlays/{overlay}"))["data"]
        limits.add(int(data["SEQ2SERVE_WAITING_TOKENS"]))
    (limit,) = limits
    assert f"> {limit // 2}" in alerts["Seq2serveSaturated"]
    assert f"> {limit}\n" in alerts["Seq2serveQueueGrows"]


def with_component(name: str):
    """The base with one component more."""
    overlay = ROOT / f"build/k8s/with-{name}"
    overlay.mkdir(parents=True, exist_ok=True)
    overlay.joinpath("kustomization.yaml").write_text(
        "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n"
        f"resources: [../../../k8s/base]\ncomponents: [../../../k8s/components/{name}]\n"
    )
    return rendered(f"build/k8s/with-{name}")


def test_more_bundles_come_from_a_claim_that_is_only_read():
    """The service reads a directory of links, which an init container of the same image makes."""
    objects = with_component("bundles")
    spec = objects["Deployment", NAME]["spec"]["template"]["spec"]
    (linking,), (container,) = spec["initContainers"], spec["containers"]
    assert linking["image"] == container["image"]
    assert linking["securityContext"] == container["securityContext"]
    mounts = {mount["mountPath"]: mount for mount in container["volumeMounts"]}
    assert all(mount["readOnly"] for mount in mounts.values())
    (models,) = (v["value"] for v in container["env"] if v["name"] == "SEQ2SERVE_MODELS")
    assert models in mounts
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    claim = volumes["bundles"]["persistentVolumeClaim"]
    assert claim["readOnly"] is True
    assert ("PersistentVolumeClaim", claim["claimName"]) in objects
    # The settings and the workers of the base are still there.
    names = {variable["name"].removeprefix("SEQ2SERVE_").lower() for variable in container["env"]}
    assert names == {"workers", "models", "models_watch_seconds"}
    assert names <= set(Settings.model_fields)


def test_keys_come_from_a_secret_and_what_they_used_is_kept():
    """The file is only read, by a group that is not root's; the manifests hold no Secret."""
    objects = with_component("keys")
    spec = objects["Deployment", NAME]["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    settings = {v["name"].removeprefix("SEQ2SERVE_").lower(): v for v in container["env"]}
    assert settings.keys() == {"workers", "keys", "data"}
    assert settings.keys() <= set(Settings.model_fields)
    mounts = {mount["name"]: mount for mount in container["volumeMounts"]}
    assert mounts["keys"]["readOnly"] is True
    assert settings["keys"]["value"].startswith(mounts["keys"]["mountPath"] + "/")
    assert settings["data"]["value"] == mounts["data"]["mountPath"]
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    assert volumes["keys"]["secret"]["secretName"] == "seq2serve-keys"
    assert volumes["keys"]["secret"]["defaultMode"] & 0o007 == 0
    assert spec["securityContext"]["fsGroup"] == spec["securityContext"]["runAsGroup"]
    assert not [kind for kind, _ in objects if kind == "Secret"]
