"""What the pages name is there: commands and their options, keys of the configuration, values of the chart, metrics, links."""
import functools
import json
import pathlib
import re
import shlex
import subprocess
import tempfile
import unittest

import yaml

from chart import CHART, PLAIN, REPOSITORY, render, the
from stack import BINARY, run

PAGES = [REPOSITORY / "README.md", REPOSITORY / "helm/tidegate/README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]
CODE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")


def blocks(text, *languages):
    """The fenced blocks that are in one of the languages."""
    for found in re.finditer(r"^```(\w+)[^\n]*\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        if found[1] in languages:
            yield found[2]


def outside_of_blocks(text):
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


class Pages(unittest.TestCase):
    def each(self, found):
        """Checks that no page yields anything."""
        wrong = [f"{page.relative_to(REPOSITORY)}: {what}" for page in PAGES for what in found(page, page.read_text())]
        self.assertEqual(wrong, [])

    def test_links_lead_somewhere(self):
        def anchors(text):
            titles = re.findall(r"^#+ (.+)$", outside_of_blocks(text), re.MULTILINE)
            named = set(re.findall(r'<a (?:id|name)="([^"]+)"', text))
            return named | {re.sub(r"[^\w\- ]", "", re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", title)).lower().replace(" ", "-") for title in titles}

        def lost(page, text):
            for target in re.findall(r"\]\(([^)\s]+)\)", outside_of_blocks(text)):
                if re.match(r"[a-z]+:", target):
                    continue
                path, _, anchor = target.partition("#")
                file = (page.parent / path).resolve() if path else page
                if not file.exists():
                    yield target
                elif anchor and file.suffix == ".md" and anchor not in anchors(file.read_text()):
                    yield target

        self.each(lost)

    def test_metrics_are_served(self):
        names = set(re.findall(r"`(tidegate_\w+)", (REPOSITORY / "docs/metrics.md").read_text()))
        served = names | {name.removesuffix("_total") for name in names}
        served |= {name + suffix for name in served for suffix in ("_total", "_bucket", "_count", "_sum")}

        def unknown(_, text):
            return sorted(set(re.findall(r"\btidegate_[a-z_]+[a-z]\b(?![:*(])", text)) - served)

        self.each(unknown)


@unittest.skipUnless(BINARY.exists(), "needs the binary: cargo build")
class Commands(Pages):
    test_links_lead_somewhere = test_metrics_are_served = None

    @staticmethod
    @functools.cache
    def help(command):
        return run(*command, "--help")

    def wrong(self, line):
        """Why there is no such command."""
        words = shlex.split(line.replace("…", ""), comments=True)
        if "|" in words:
            words = words[:words.index("|")]
        command = ()
        for word in words[1:]:
            if not re.search(r"^Commands:", self.help(command), re.MULTILINE):
                break
            if word.startswith("-"):
                continue
            if not re.search(rf"^  {re.escape(word)}\s", self.help(command), re.MULTILINE):
                return f"no command {word}"
            command += (word,)
        for word in words[1:]:
            option = word.partition("=")[0]
            if re.fullmatch(r"--?[a-z][a-z-]*", option) and not re.search(rf"(^|[\s,]){option}\b", self.help(command)):
                return f"{' '.join(command)} has no {option}"
        return None

    def test_commands_and_options_are_there(self):
        def unknown(_, text):
            lines = []
            for block in blocks(text, "sh", "console"):
                lines += re.findall(r"^(?:\$ )?(tidegate .*)$", block.replace("\\\n", " "), re.MULTILINE)
            lines += [code for code in CODE.findall(outside_of_blocks(text)) if re.match(r"tidegate [a-z]+", code) and "\\|" not in code]
            for line in lines:
                if why := self.wrong(line):
                    yield f"{line}: {why}"

        self.each(unknown)


@unittest.skipUnless(BINARY.exists(), "needs the binary: cargo build")
class Keys(Pages):
    test_links_lead_somewhere = test_metrics_are_served = None

    @classmethod
    def setUpClass(cls):
        cls.schemas = [json.loads(run("schema")), json.loads(run("schema", "--process"))]

    def under(self, schema, node, key):
        """What may stand at a key: the schemas, through references and alternatives."""
        if "$ref" in node:
            yield from self.under(schema, schema["$defs"][node["$ref"].rsplit("/", 1)[1]], key)
        if key in node.get("properties", {}):
            yield node["properties"][key]
        elif isinstance(node.get("additionalProperties"), dict):
            yield node["additionalProperties"]
        elif node.get("additionalProperties") is True or node.get("type") == ["object", "null"] and "properties" not in node:
            yield {"additionalProperties": True}
        for other in [*node.get("anyOf", ()), *node.get("oneOf", ()), *node.get("allOf", ())]:
            yield from self.under(schema, other, key)
        if isinstance(node.get("items"), dict):
            yield from self.under(schema, node["items"], key)

    def is_there(self, path):
        for schema in self.schemas:
            nodes = [schema]
            for key in path:
                nodes = [found for node in nodes for found in self.under(schema, node, key)]
            if nodes:
                return True
        return False

    def is_ours(self, key):
        # Librdkafka has `group.instance.id` and Connect `topics.regex`, where ours is a text and a list.
        return key not in ("group", "topics") and any(key in schema["properties"] for schema in self.schemas)

    def test_dotted_keys_are_there(self):
        def unknown(page, text):
            # In the tables of these stand other people's keys as well; see below.
            if page.is_relative_to(CHART) or page.name.startswith("moving-from-"):
                return
            for code in CODE.findall(outside_of_blocks(text)):
                path = re.match(r"([a-z_]+(?:\.[a-z_]+)+)(?::|$)", code)
                if path and self.is_ours(path[1].split(".")[0]) and not re.search(r"\.(yaml|json|lp)$", path[1]):
                    if not self.is_there(path[1].split(".")):
                        yield path[1]

        self.each(unknown)

    def test_what_one_moves_to_is_there(self):
        for name in ("telegraf", "kafka-connect", "vector"):
            text = (REPOSITORY / f"docs/moving-from-{name}.md").read_text()
            for cell in re.findall(r"^\|[^|]*\|([^|]*)\|$", text, re.MULTILINE)[2:]:
                last = ()
                for code in CODE.findall(cell):
                    path = re.match(r"([a-z_]+(?:\.[a-z_]+)*)(: |$)", code)
                    if not path:
                        continue
                    # `url` after `sink.influxdb` is that sink's, `max_bytes` after `batch.max_points` is its neighbour.
                    path = tuple(path[1].split("."))
                    ways = (path, last + path, last[:-1] + path)
                    self.assertTrue(any(map(self.is_there, ways)), f"moving-from-{name}.md: {code}")
                    last = next(filter(self.is_there, ways))


class Sizing(unittest.TestCase):
    """What one plans with is what the last run on the page of measurements has shown."""

    def test_figures_are_those_that_were_measured(self):
        rows = re.findall(r"^\| Tidegate \| ([^|]+) \| \d+ \| (\d+) [^|]+\|[^|]+\|[^|]+\| \d+ \((\d+)–(\d+)\) \|$",
            (REPOSITORY / "docs/performance.md").read_text(), re.MULTILINE)
        measured = {work: int(thousands) * 1000 for work, thousands, *_ in rows}
        sizing = (REPOSITORY / "docs/sizing.md").read_text()

        def planned(row):
            cell = next(line for line in sizing.splitlines() if line.startswith(f"| CPU, {row} |")).split("|")[2]
            return [int(number.replace(",", "")) for number in re.findall(r"\d[\d,]*,000", cell)]

        for row, works in (
            ("JSON of 280 bytes to line protocol", ("JSON 280 B to line protocol", "JSON 280 B to line protocol, gzip")),
            ("the same to remote write (5 samples a message)", ("JSON 280 B to remote write",)),
            ("JSON of 1.5 KB", ("JSON 1.5 KB to line protocol", "JSON 1.5 KB to remote write")),
            ("Avro", ("Avro to line protocol", "Avro to remote write")),
            ("Protobuf", ("Protobuf to line protocol", "Protobuf to remote write")),
            ("MessagePack", ("MessagePack to line protocol", "MessagePack to remote write")),
            ("line protocol passed through", ("line protocol passed through to line protocol", "line protocol passed through to remote write")),
        ):
            self.assertEqual(planned(row), [measured[work] // 10_000 * 10_000 for work in works], row)
        most = max(int(most) for work, _, _, most in rows)
        plain = [int(number) for work, _, *peaks in rows if "zstd" not in work for number in peaks]
        self.assertIn(f"topics in zstd take up to {most} MiB", sizing)
        memory = f"{min(plain)}–{max(plain)} MiB with one worker, up to {most} MiB from topics in zstd"
        self.assertIn(memory, (CHART / "values.yaml").read_text())


class Chart(unittest.TestCase):
    def test_the_pages_values_are_taken_by_the_chart(self):
        known = yaml.safe_load((CHART / "values.yaml").read_text())
        seen = set()
        for block in blocks((REPOSITORY / "docs/kubernetes.md").read_text(), "yaml"):
            values = yaml.safe_load(block)
            if set(values) & set(known):
                # Neither may be on beside its rival, which stands in the same block as a comment.
                render(PLAIN | values)
                seen |= set(values)
        self.assertLessEqual({"serviceMonitor", "prometheusRule", "dashboards", "keda"}, seen)

    def test_what_is_exported_goes_into_the_chart_as_the_page_says(self):
        compose = REPOSITORY / "docker" / "compose"
        with tempfile.TemporaryDirectory() as out:
            run("grafana", "export", "-o", out, "--config", compose / "tidegate.yaml", compose / "connectors" / "boilers-prometheus.yaml")
            objects = render(
                PLAIN, "--set", "prometheusRule.enabled=true", "--set", "dashboards.enabled=true",
                "--set-file", f"prometheusRule.extra.boilers={out}/rules/boilers-prometheus.yaml",
                "--set-file", f"dashboards.extra.boilers={out}/dashboards/boilers-prometheus.json",
            )
            (board,) = the(objects, "ConfigMap", "t-tidegate-dashboard-boilers")["data"].values()
            self.assertEqual(json.loads(board), json.loads(pathlib.Path(out, "dashboards/boilers-prometheus.json").read_text()))
        groups = the(objects, "PrometheusRule")["spec"]["groups"]
        rules = [rule["alert"] for group in groups for rule in group["rules"]]
        self.assertLessEqual({"TidegateAbsent", "BoilerTooHot"}, set(rules))

    def test_grafanas_data_sources_are_of_each_kind_and_hold_no_secret(self):
        sources = yaml.safe_load((REPOSITORY / "grafana/datasources/tidegate.yaml").read_text())["datasources"]
        kinds = [(source["type"], source.get("jsonData", {}).get("version")) for source in sources]
        self.assertEqual([kind for kind, _ in kinds].count("prometheus"), 3)
        self.assertLessEqual({("influxdb", version) for version in ("Flux", "InfluxQL", "SQL")}, set(kinds))
        self.assertEqual(len({source["uid"] for source in sources}), len(sources))
        secrets = [text for source in sources for text in source.get("secureJsonData", {}).values()]
        self.assertEqual([text for text in secrets if not re.fullmatch(r"(Bearer )?\$[A-Z_]+", text)], [])

    def test_helms_commands_are_taken(self):
        text = (REPOSITORY / "docs/kubernetes.md").read_text()
        known = yaml.safe_load((CHART / "values.yaml").read_text())
        named = re.findall(r"--set(?:-file)? '?([a-zA-Z]+)", text) + re.findall(r"`([a-zA-Z]+)\.[a-zA-Z]+`", text)
        named = [name for name in named if name not in ("delivery", "session", "group", "docs", "bootstrap")]
        self.assertEqual([name for name in named if name not in known], [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
