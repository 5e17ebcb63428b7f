#!/usr/bin/env python3
"""helm/tidegate/README.md from values.yaml: `readme.py` writes it, `readme.py --check` says whether it is up to date.

Understands what values.yaml uses: `key: value` at two depths, and `# --` with the lines below it as documentation.
"""
import pathlib
import re
import sys

CHART = pathlib.Path(__file__).parent / "tidegate"

HEAD = """# The chart tidegate

Made from values.yaml by `make generated`. What to do with it, from nothing: [docs/kubernetes.md](../../docs/kubernetes.md).

```sh
helm install tidegate helm/tidegate --set-file connectors.sensors=connectors/sensors.yaml \\
  --set 'config.kafka.bootstrap\\.servers=kafka:9092'
```

| Value | Default | |
|---|---|---|
"""


def cell(text):
    return text.replace("|", "\\|")


def rows(lines):
    section, documentation, block = "", [], None
    for line in lines:
        if block and (line.startswith(block + " ") or not line.strip()):
            continue  # the default's own lines; only the first is shown
        block = None
        if match := re.match(r"^ *# --\s?(.*)", line):
            documentation = [match[1]]
        elif match := re.match(r"^ *#\s?(.*)", line):
            documentation += [match[1]] if documentation else []
        elif match := re.match(r"^( *)([A-Za-z]+):\s*(.*)$", line):
            indent, key, default = match.groups()
            if not default and not indent and key in SECTIONS:
                section = key
            else:
                if not indent:
                    section = ""
                if not default:
                    default, block = "see values.yaml", indent + " "
                else:
                    default = f"`{default}`"
                name = f"{section}.{key}" if section else key
                yield f"| `{name}` | {cell(default)} | {cell(' '.join(documentation))} |"
            documentation = []
        elif not line.strip():
            documentation = []


# Those whose keys have lines of their own.
SECTIONS = {
    "image", "server", "serviceAccount", "podDisruptionBudget", "serviceMonitor", "podMonitor", "prometheusRule",
    "dashboards", "networkPolicy", "hpa", "keda", "ingress", "tests",
}

page = HEAD + "\n".join(rows((CHART / "values.yaml").read_text().splitlines())) + "\n"
target = CHART / "README.md"
if "--check" not in sys.argv:
    target.write_text(page)
elif target.read_text() != page:
    sys.exit("helm/tidegate/README.md is not what values.yaml says. Mend: make generated")
