"""What is under deploy/ fits together, and the daemon's own words."""

import re

import daemon
import yaml

DEPLOY = daemon.ROOT / "deploy"


def deployment(overlay: str) -> dict:
    return yaml.safe_load((DEPLOY / "kubernetes" / overlay / "deployment.yaml").read_text())["spec"]


def probe(spec: dict) -> dict:
    return spec["template"]["spec"]["containers"][0]["startupProbe"]


def test_whoever_scrapes_asks_at_the_port_that_the_examples_open():
    opened = re.compile(r'metrics = "[^"]*:(\d+)"')
    files = (daemon.ROOT / "lipsyncd.toml", daemon.ROOT / "docs/operations.md", DEPLOY / "kubernetes/base/configmap.yaml")
    (port,) = {port for file in files for port in opened.findall(file.read_text())}
    (scraped,) = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text())["scrape_configs"]
    assert scraped["static_configs"] == [{"targets": [f"127.0.0.1:{port}"]}]
    template = deployment("base")["template"]
    named = {p["name"]: p["containerPort"] for p in template["spec"]["containers"][0]["ports"]}
    assert template["metadata"]["annotations"]["prometheus.io/port"] == str(named["metrics"]) == port
    ports = yaml.safe_load((DEPLOY / "kubernetes/base/service.yaml").read_text())["spec"]["ports"]
    assert {p["name"]: str(p["port"]) for p in ports}["metrics"] == port


def test_a_rollout_waits_as_long_as_a_pod_may_take_to_start():
    base = deployment("base")
    period_s = probe(base)["periodSeconds"]
    for spec in (base, deployment("gpu")):
        # Kubernetes' own deadline is 600 s.
        assert spec.get("progressDeadlineSeconds", 600) > probe(spec)["failureThreshold"] * period_s
