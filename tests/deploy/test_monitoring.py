"""Rules, alerts and dashboard: they parse, do what they say, and name only metrics that exist.

promtool's part is skipped with a reason where it is missing.
"""

import json
import re

import pytest
import yaml

from tests.deploy.reading import (
    DASHBOARD,
    PROMETHEUS,
    ROOT,
    metric_names,
    names_in,
    read,
    routes,
    run,
    tool,
)

RULES = [rule for group in read(PROMETHEUS / "rules.yaml")["groups"] for rule in group["rules"]]
RECORDED = {rule["record"] for rule in RULES if "record" in rule}
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}


def expressions():
    """Every expression of the dashboard, with Grafana's variables filled in."""
    panels = json.loads(DASHBOARD.read_text("utf-8"))["panels"]
    return [
        target["expr"].replace("$__rate_interval", "1m").replace("$model", ".*")
        for panel in panels
        for target in panel.get("targets", [])
    ]


def test_prometheus_reads_its_files():
    """And finds nothing to complain of in the rules."""
    promtool = tool("promtool")
    run(promtool, "check", "config", str(PROMETHEUS / "prometheus.yaml"))
    run(promtool, "check", "rules", "--lint=all", "--lint-fatal", str(PROMETHEUS / "rules.yaml"))


def test_rules_do_what_they_say():
    """The cases of rules.test.yaml."""
    run(tool("promtool"), "test", "rules", str(PROMETHEUS / "rules.test.yaml"))


def test_every_alert_has_a_case_that_fires_and_one_that_does_not():
    """Or a slip of the pen would go unseen."""
    fires, rests = set(), set()
    for case in read(PROMETHEUS / "rules.test.yaml")["tests"]:
        for alert in case.get("alert_rule_test", []):
            (fires if alert["exp_alerts"] else rests).add(alert["alertname"])
    assert fires == set(ALERTS)
    # That nothing fires is one case for all of them; the others start from rest, too.
    assert rests == set(ALERTS)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.get("alert") or rule["record"])
def test_rules_name_metrics_that_exist(rule):
    """Of the service, or recorded by another rule."""
    names = names_in(rule["expr"]) - {"seq2serve"}
    assert names <= metric_names() | RECORDED


def test_ratios_are_of_the_routes_that_translate():
    """Fails when an expression counts other POSTs too, such as loads, or misses a protocol."""
    recorded = [rule["expr"] for rule in RULES if "record" in rule]
    patterns = {p for e in (*recorded, *expressions()) for p in re.findall(r'route=~"([^"]*)"', e)}
    (pattern,) = patterns
    counted = {path for path in routes() if re.fullmatch(pattern, path)}
    assert counted == {"/v1/translate", "/translate", "/v2/translate"}
    posts = [e for e in (*recorded, *expressions()) if 'method="POST"' in e]
    assert posts
    assert all(e.count('method="POST"') == e.count(pattern) for e in posts)


def test_alerts_are_explained():
    """Each has a severity, a summary, and a line in docs/operations.md."""
    documented = (ROOT / "docs/operations.md").read_text("utf-8")
    for name, alert in ALERTS.items():
        assert alert["labels"]["severity"] in ("warning", "critical")
        assert alert["annotations"]["summary"]
        assert f"`{name}`" in documented


def test_the_dashboard_names_metrics_that_exist():
    """Of the service, or recorded."""
    assert expressions()
    for expression in expressions():
        assert names_in(expression) <= metric_names() | RECORDED, expression


def test_promtool_parses_every_expression_of_the_dashboard(tmp_path):
    """As if each were a rule."""
    rules = [
        {"record": f"panel:{number}", "expr": expression}
        for number, expression in enumerate(expressions())
    ]
    path = tmp_path / "panels.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    run(tool("promtool"), "check", "rules", "--lint=none", str(path))


def test_panels_stand_side_by_side():
    """Their ids differ and no two overlap."""
    panels = json.loads(DASHBOARD.read_text("utf-8"))["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken = set()
    for panel in panels:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells


def test_grafana_finds_datasource_and_dashboard():
    """The provisioned datasource is the one that the dashboard starts with."""
    provisioning = ROOT / "docker/grafana/provisioning"
    (source,) = read(provisioning / "datasources/prometheus.yaml")["datasources"]
    dashboard = json.loads(DASHBOARD.read_text("utf-8"))
    variables = {v["name"]: v for v in dashboard["templating"]["list"]}
    assert variables["datasource"]["current"]["value"] == source["uid"]
    assert source["url"] == "http://prometheus:9090"
    targets = [target for panel in dashboard["panels"] for target in panel.get("targets", [])]
    used = {target["datasource"]["uid"] for target in targets}
    assert used == {"${datasource}"}
