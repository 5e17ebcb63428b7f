#!/usr/bin/env python3
"""helm/manifests/tidegate.yaml from the chart, for those without Helm: `manifests.py` writes it, `--check` compares."""
import pathlib
import subprocess
import sys

REPOSITORY = pathlib.Path(__file__).resolve().parents[1]
TARGET = REPOSITORY / "helm" / "manifests" / "tidegate.yaml"
HEAD = """# Made from helm/tidegate by `make generated`, for those without Helm: kubectl apply -f helm/manifests/tidegate.yaml
# Change: the image, bootstrap.servers, and the connector file in the ConfigMap tidegate-connectors. After a change of a
# ConfigMap: kubectl rollout restart statefulset/tidegate
"""


def rendered():
    where = subprocess.run([REPOSITORY / "tests/stack/install.sh", "--where", "helm"], check=True, capture_output=True, text=True)
    command = [
        f"{where.stdout.strip()}/bin/helm", "template", "tidegate", "helm/tidegate", "--namespace", "default", "--kube-version", "1.34.0",
        "--set", "tests.enabled=false", "--set-file", "connectors.sensors=connectors/sensors.yaml",
    ]
    text = subprocess.run(command, check=True, capture_output=True, text=True, cwd=REPOSITORY).stdout
    lines = [l for l in text.splitlines() if "app.kubernetes.io/managed-by: Helm" not in l and "helm.sh/chart:" not in l]
    return HEAD + "\n".join(lines) + "\n"


if "--check" not in sys.argv:
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(rendered())
elif TARGET.read_text() != rendered():
    sys.exit("helm/manifests/tidegate.yaml is not what the chart renders. Mend: make generated")
