"""The alerts and the dashboard: that they ask for what there is, and do what they should."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families as families

from tests.harness import ROOT, ServerProcess, put_database

DEPLOY = ROOT / "config" / "deploy"
ALERTS = DEPLOY / "prometheus" / "alerts.yml"
DASHBOARD = DEPLOY / "grafana" / "task-queue.json"
PAGE = ROOT / "docs" / "observability.md"
needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not installed; Debian: prometheus"
)
_NAME = re.compile(r"\b(?:task_queue|process)_[a-z_]+")


def promtool(*arguments: str) -> str:
    """What it says; it has to be content."""
    done = subprocess.run(
        ["promtool", *arguments], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    return done.stdout


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(ALERTS.read_text("utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def queries() -> list[str]:
    """What the dashboard asks for, with values for its variables."""
    dashboard = json.loads(DASHBOARD.read_text("utf-8"))
    found = [each["expr"] for panel in dashboard["panels"] for each in panel.get("targets", ())]
    found += [each["expr"] for each in dashboard["annotations"]["list"]]
    variables = {"$queue": ".*", "$__rate_interval": "5m"}
    for name, value in variables.items():
        found = [each.replace(name, value) for each in found]
    assert not any("$" in each for each in found)
    return found


@pytest.fixture(scope="module")
def exposed(
    tmp_path_factory: pytest.TempPathFactory, migrated_file: Path
) -> Iterator[dict[str, Metric]]:
    """The families of a real server that has done something, by name."""
    put_database(migrated_file, directory := tmp_path_factory.mktemp("monitored"))
    server = ServerProcess(directory)
    try:
        server.start().wait_for_status(server.publish("uppercase", text="a"), "completed")
        server.client.get("/metrics")  # the first shows no request
        yield {each.name: each for each in families(server.client.get("/metrics").text)}
    finally:
        server.close()


@needs_promtool
def test_the_alerts_do_what_they_should() -> None:
    tested = promtool("test", "rules", str(ALERTS.with_name("alerts_test.yml")))
    assert "SUCCESS" in tested


def test_each_alert_is_tested_and_says_what_to_do() -> None:
    tests = yaml.safe_load(ALERTS.with_name("alerts_test.yml").read_text("utf-8"))["tests"]
    fires = json.dumps([each.get("promql_expr_test", []) for each in tests]) + json.dumps(
        [alert for each in tests for alert in each.get("alert_rule_test", []) if len(alert) > 2]
    )
    for rule in rules():
        assert rule["alert"] in fires
        assert len(rule["annotations"]["description"]) > 50
        assert rule["annotations"]["summary"].endswith(".")
        assert rule["labels"]["severity"] in {"critical", "warning"}
    calm = {each["alertname"] for each in tests[0]["alert_rule_test"]}
    assert calm == {rule["alert"] for rule in rules()}


@needs_promtool
def test_prometheus_understands_what_the_dashboard_asks_for(tmp_path: Path) -> None:
    recorded = [
        {"record": f"panel:{number}", "expr": expr} for number, expr in enumerate(queries())
    ]
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": recorded}]}))
    assert f"SUCCESS: {len(recorded)} rules found" in promtool("check", "rules", str(file))


@pytest.mark.system
def test_alerts_and_dashboard_ask_for_metrics_that_a_server_has(
    exposed: dict[str, Metric],
) -> None:
    there = {each.name for family in exposed.values() for each in family.samples}
    there |= {f"{name}_total" for name, family in exposed.items() if family.type == "counter"}
    asked = [*(rule["expr"] for rule in rules()), *queries()]
    named = {name for expr in asked for name in _NAME.findall(expr)}
    assert len(named) > 20
    assert named - there == set()


@pytest.mark.system
def test_the_page_has_each_metric_with_its_type_and_labels(exposed: dict[str, Metric]) -> None:
    rows = re.findall(
        r"^\| `(task_queue_\w+)` \| (\w+) \|([^|]*)\|", PAGE.read_text("utf-8"), re.MULTILINE
    )
    page = {name: (kind, labels.strip()) for name, kind, labels in rows}
    shown = {
        f"{name}_total" if family.type == "counter" else name: family
        for name, family in exposed.items()
        if name.startswith("task_queue")
    }
    assert set(page) == set(shown)
    for name, family in shown.items():
        kind, labels = page[name]
        assert family.type == ("gauge" if kind == "info" else kind)
        of_samples = {label for each in family.samples for label in each.labels} - {"le"}
        if family.samples:
            assert ", ".join(sorted(of_samples)) == ", ".join(
                sorted(filter(None, labels.split(", ")))
            )
