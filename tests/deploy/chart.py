"""What the chart's tests share: helm, its rendered objects, and the values that they are rendered with."""
import json
import os
import pathlib
import subprocess

import yaml

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
CHART = REPOSITORY / "helm" / "tidegate"
# A helm that `go install` built takes Kubernetes for 1.20.
KUBE = ("--kube-version", "1.34.0")

# Every optional object on. `hpa` and `podMonitor` exclude `keda` and `serviceMonitor`: see OTHER.
FULL = {
    "connectors": {
        "sensors": (REPOSITORY / "connectors" / "sensors.yaml").read_text(),
        "payments": yaml.safe_load((REPOSITORY / "connectors" / "payments.yaml").read_text())
        | {"delivery": {"drain": "1m5s"}, "batch": {"max_points": 1000000}},
        "service-events": (REPOSITORY / "connectors" / "service-events.yaml").read_text(),
    },
    "secrets": ["influx-token", "kafka"],
    "replicas": 3,
    "imagePullSecrets": [{"name": "registry"}],
    "commonLabels": {"team": "plant"},
    "podLabels": {"shift": "night"},
    "podAnnotations": {"note": "a"},
    "nodeSelector": {"kubernetes.io/os": "linux"},
    "tolerations": [{"key": "spot", "operator": "Exists", "effect": "NoSchedule"}],
    "affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
    "priorityClassName": "system-cluster-critical",
    "env": [{"name": "INFLUX_URL", "value": "http://influx:8086"}],
    "envFrom": [{"secretRef": {"name": "more"}}],
    "volumes": [{"name": "scratch", "emptyDir": {}}],
    "volumeMounts": [{"name": "scratch", "mountPath": "/scratch"}],
    "initContainers": [{"name": "wait", "image": "wait:1"}],
    "sidecars": [{"name": "side", "image": "side:1"}],
    "extraObjects": [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "extra"}, "data": {"a": "b"}}],
    "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
    "prometheusRule": {
        "enabled": True,
        "extraGroups": [{"name": "own", "rules": [{"alert": "Own", "expr": "vector(1)", "for": "1m"}]}],
    },
    "dashboards": {"enabled": True, "annotations": {"grafana_folder": "Tidegate"}, "extra": {"own": "{}"}},
    "networkPolicy": {
        "enabled": True,
        "ingressFrom": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}],
        "egress": [{"ports": [{"port": 9092, "protocol": "TCP"}]}],
    },
    "keda": {"enabled": True, "bootstrapServers": "kafka:9092", "metadata": {"tls": "enable"}, "authenticationRef": "kafka"},
    "ingress": {"enabled": True, "className": "nginx", "hosts": ["tidegate.example"]},
}
PLAIN = {"connectors": {"sensors": FULL["connectors"]["sensors"]}}
OTHER = PLAIN | {
    "hpa": {"enabled": True}, "podMonitor": {"enabled": True}, "networkPolicy": {"enabled": True},
    "prometheusRule": {"enabled": True, "extra": {"own": "groups: [{ name: own, rules: [{ alert: Own, expr: vector(1) }] }]"}},
}
BARE = {
    "existingConfigMap": "mine", "staticMembership": False, "serviceAccount": {"create": False},
    "podDisruptionBudget": {"enabled": False}, "tests": {"enabled": False}, "topologySpreadConstraints": [],
}
MATRIX = {"plain": PLAIN, "full": FULL, "other": OTHER, "bare": BARE}


def installed(name):
    command = [REPOSITORY / "tests" / "stack" / "install.sh", "--where", name]
    return pathlib.Path(subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip())


def helm(*arguments, values=None, environment=None):
    """Runs helm; values go in by standard input. Returns the finished process, whatever its exit code."""
    command = [installed("helm") / "bin" / "helm", *arguments]
    text = None
    if values is not None:
        command += ["--values", "-"]
        text = yaml.safe_dump(values)
    return subprocess.run(command, input=text, capture_output=True, text=True, env=os.environ | (environment or {}))


def render(values, *arguments, chart=CHART):
    """The objects that the values make."""
    done = helm("template", "t", chart, "--namespace", "plant", *KUBE, *arguments, values=values)
    if done.returncode:
        raise AssertionError(done.stderr)
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def refusal(values):
    """Why helm does not take the values."""
    done = helm("template", "t", CHART, *KUBE, values=values)
    assert done.returncode, "the values were taken"
    return done.stderr


def the(objects, kind, name=None):
    """The only object of a kind."""
    found = [o for o in objects if o["kind"] == kind and name in (None, o["metadata"]["name"])]
    assert len(found) == 1, f"{len(found)} of {kind} {name or ''}"
    return found[0]


def definitions():
    """The custom resource definitions of the operators, as JSON."""
    folder = installed("kube-schemas") / "crds"
    return [yaml.load(file.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)) for file in sorted(folder.iterdir())]


def as_json(thing):
    return json.dumps(thing).encode()
