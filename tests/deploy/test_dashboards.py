"""The generated dashboards: Grafana's own types know every key, and every panel's query finds the pipeline's data."""
import contextlib
import json
import os
import pathlib
import re
import tempfile
import time
import unittest
import urllib.parse

import yaml
from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from chart import REPOSITORY, installed
from queries import FLUX, INFLUXQL, PROMQL, Queries, filled
from stack import free_port, http, new_topic, process, produce, run, tidegate, until

MESSAGES = 60
# A second has points of six series; the last is still open.
WINDOWS = 5 * 6
FIELDS = ["cycles", "temperature", "running", "temperature_score", "temperature_anomaly", "cycles_count", "temperature_mean"]


def lost_keys(given, read, at=""):
    """What the types have dropped, because they don't know it."""
    if isinstance(given, dict) and isinstance(read, dict):
        for key, value in given.items():
            if key in read:
                yield from lost_keys(value, read[key], f"{at}.{key}")
            # The types leave out what is empty.
            elif value not in ([], {}, "", None, False, 0):
                yield f"{at}.{key}"
    elif isinstance(given, list) and isinstance(read, list):
        for index, (one, other) in enumerate(zip(given, read)):
            yield from lost_keys(one, other, f"{at}[{index}]")


class Types(unittest.TestCase):
    def test_grafanas_types_know_every_key(self):
        plugins.register_default_plugins()
        with tempfile.TemporaryDirectory() as out:
            examples = REPOSITORY / "connectors"
            for name, *language in (("fraud",), ("payments",), ("sensors",), ("service-events", "--language", "promql")):
                run("grafana", "export", "-o", out, "--datasource", "d", "--config", examples / "tidegate.yaml", *language, examples / f"{name}.yaml")
            files = sorted(pathlib.Path(out, "dashboards").iterdir())
            self.assertEqual([f.stem for f in files], ["fraud", "operations", "payments", "sensors", "service-events"])
            for file in files:
                given = json.loads(file.read_text())
                read = json.loads(JSONEncoder().encode(Dashboard.from_json(given)))
                self.assertEqual(list(lost_keys(given, read)), [], file.name)


def connector(name, sink, strings):
    fields = {
        "heat": "temperature",
        "cycles": {"path": "cycles", "type": "integer"},
        "running": {"path": "running", "type": "boolean"},
    }
    if strings:
        fields["note"] = {"path": "note", "type": "string"}
    return {
        "name": name,
        "topics": [name],
        "point": {
            "measurement": "boiler",
            # `site` is missing in half of the messages.
            "tags": {"device": "device", "site": "site"},
            "fields": fields,
            "timestamp": {"path": "ts", "unit": "ms"},
        },
        # Dashboards and alerts go by the names that come out of these.
        "process": [
            {"rename": {"heat": "temperature"}},
            {"anomaly": {"field": "temperature", "method": "bounds", "above": 70, "below": 10, "band": True}},
            {"window": {"size": "1s", "keep": True, "fields": {"temperature": ["mean"], "cycles": ["count"]}}},
        ],
        "sink": sink,
        "batch": {"linger": "100ms"},
        "alerts": [
            {"name": "TooHot", "field": "temperature", "above": 10, "for": "0s", "severity": "critical", "labels": {"team": "plant"},
             "annotations": {"summary": "{{ $labels.device }} has {{ $value }} \"degrees\""}},
            {"name": "Never", "field": "cycles", "above": 1e9, "for": "5m"},
            {"name": "OnTheWhole", "field": "temperature_mean", "above": 10, "for": "0s"},
            {"name": "Off", "field": "running", "below": 0.5, "for": "0s"},
        ],
    }


@unittest.skipUnless(os.environ.get("TIDEGATE_TEST_KAFKA"), "needs the stack: tests/deploy/run.sh")
class Panels(Queries):
    @contextlib.contextmanager
    def pipeline(self, kind, sink, strings=True, arguments=()):
        """Runs messages through a connector, and gives its exported folder."""
        kafka = os.environ["TIDEGATE_TEST_KAFKA"]
        name = f"{kind}-{os.getpid()}"
        new_topic(kafka, name)
        with tidegate(kafka, connector(name, sink, strings)) as (folder, metrics), tempfile.TemporaryDirectory() as out:
            now = int(time.time() * 1000) - 100 * MESSAGES
            messages = [
                {"device": f"d{n % 3}", "temperature": 20 + n, "cycles": n, "running": n % 2 == 0, "note": "n", "ts": now + 100 * n}
                | ({"site": "north"} if n % 2 else {}) for n in range(MESSAGES)
            ]
            produce(kafka, name, messages)
            written = re.compile(rf'tidegate_points_written_total{{connector="{name}"}} (\d+)')
            until("points", lambda: int(written.search(http(metrics)[1])[1]) >= MESSAGES + WINDOWS)
            run("grafana", "export", "-o", out, "--datasource", "d", *arguments, "--config", folder / "tidegate.yaml", folder / f"{name}.yaml")
            yield name, pathlib.Path(out), metrics

    def one_band(self, out, name, ask):
        """The bounds that the panel of the temperature shades between; each must be one line, whatever the series."""
        panels = json.loads((out / "dashboards" / f"{name}.json").read_text())["panels"]
        targets = next(panel for panel in panels if panel["title"] == "temperature")["targets"]
        queries = {target["refId"]: target.get("expr") or target["query"] for target in targets}
        self.assertEqual([ask(queries["Low"]), ask(queries["High"])], [[10.0], [70.0]])

    def test_prometheus(self):
        database = os.environ["TIDEGATE_TEST_PROMETHEUS"]
        with self.pipeline("prometheus", {"prometheus": {"url": database + "/api/v1/write"}}, strings=False) as (name, out, _):
            titles = self.every_query(out, name, "expr", self.promql(database), PROMQL)
            self.assertEqual(set(titles), set(FIELDS))
            self.one_band(out, name, lambda query: [float(s["value"][1]) for s in self.promql(database)(filled(query, PROMQL))])
            rules = yaml.safe_load((out / "rules" / f"{name}.yaml").read_text())["groups"][0]["rules"]
            firing = [rule["alert"] for rule in rules if self.promql(database)(rule["expr"])]
            self.assertEqual(firing, ["TooHot", "OnTheWhole", "Off"])

    def test_victoria_metrics_behind_an_influxdb_sink(self):
        database = os.environ["TIDEGATE_TEST_VICTORIA_METRICS"]
        sink = {"influxdb": {"url": database, "org": "o", "bucket": "b"}}
        with self.pipeline("vm", sink, strings=False, arguments=["--language", "promql"]) as (name, out, _):
            http(database + "/internal/force_flush")
            self.every_query(out, name, "expr", self.promql(database), PROMQL)
            self.one_band(out, name, lambda query: [float(s["value"][1]) for s in self.promql(database)(filled(query, PROMQL))])

    def test_influxdb_1(self):
        database = os.environ["TIDEGATE_TEST_INFLUXDB1"]
        login = {"username": "tidegate", "password": "tidegate-tests"}
        sink = {"influxdb": {"url": database, "version": 1, "database": "tests", "basic_auth": login}}

        def ask(query):
            form = urllib.parse.urlencode({"db": "tests", "q": query, "u": login["username"], "p": login["password"]})
            answer = http(f"{database}/query?{form}")
            self.assertEqual(answer[0], 200, answer[1])
            result = json.loads(answer[1])["results"][0]
            self.assertNotIn("error", result, query)
            return result.get("series")

        with self.pipeline("influx1", sink) as (name, out, _):
            titles = self.every_query(out, name, "query", ask, INFLUXQL)
            self.assertEqual(set(titles), {*FIELDS, "note"})
            self.one_band(out, name, lambda query: [value for s in ask(filled(query, INFLUXQL)) for value in {v for _, v in s["values"]}])
            for variable in json.loads((out / "dashboards" / f"{name}.json").read_text())["templating"]["list"][1:]:
                self.assertTrue(ask(variable["query"]), variable["query"])
            group = yaml.safe_load((out / "alerting" / f"{name}.yaml").read_text())["groups"][0]
            for rule in group["rules"]:
                self.assertTrue(ask(rule["data"][0]["model"]["query"]), rule["title"])

    def test_influxdb_2_panels_alerts_and_tasks(self):
        database = os.environ["TIDEGATE_TEST_INFLUXDB2"]
        sink = {"influxdb": {"url": database, "org": "tidegate", "bucket": "tests", "token": "tidegate-tests-token"}}
        with self.pipeline("influx2", sink) as (name, out, _):
            self.every_query(out, name, "query", self.flux, FLUX)
            self.one_band(out, name, lambda query: [float(value) for _, value in sorted(self.tables(filled(query, FLUX)))])
            for variable in json.loads((out / "dashboards" / f"{name}.json").read_text())["templating"]["list"][1:]:
                self.assertTrue(self.flux(variable["query"]), variable["query"])
            group = yaml.safe_load((out / "alerting" / f"{name}.yaml").read_text())["groups"][0]
            for rule in group["rules"]:
                self.assertTrue(self.flux(filled(rule["data"][0]["model"]["query"], FLUX)), rule["title"])
        with self.pipeline("influx2t", sink, arguments=["--rules", "flux"]) as (name, out, _):
            for file in sorted((out / "tasks").iterdir()):
                self.run_task(database, file.read_text())
            statuses = "".join(self.flux(f'''import "influxdata/influxdb/monitor"
                monitor.from(start: -5m) |> filter(fn: (r) => r.connector == "{name}")
                    |> keep(columns: ["_check_name", "_level", "_message", "team"])'''))
            self.assertIn('TooHot,crit,', statuses)
            self.assertIn('has 7', statuses)
            self.assertIn('""degrees""', statuses)
            self.assertNotIn("Never,warn", statuses)

    def tables(self, query):
        """Of each table its values."""
        head, *rows = [line.split(",") for line in self.flux_csv(query)]
        return {(row[head.index("table")], row[head.index("_value")]) for row in rows}

    def run_task(self, database, flux):
        """Makes the task, has it run at once, and waits for its end."""
        headers = {"Authorization": "Token tidegate-tests-token", "Content_Type": "application/json"}
        status, body = http(database + "/api/v2/tasks", "POST", json.dumps({"org": "tidegate", "flux": flux}), **headers)
        self.assertEqual(status, 201, f"{flux}\n{body}")
        task = json.loads(body)["id"]
        status, body = http(f"{database}/api/v2/tasks/{task}/runs", "POST", "{}", **headers)
        self.assertEqual(status, 201, body)
        number = json.loads(body)["id"]

        def ended():
            run = json.loads(http(f"{database}/api/v2/tasks/{task}/runs/{number}", **headers)[1])
            return run.get("status") in ("success", "failed") and run

        run = until("the task", ended)
        self.assertEqual(run["status"], "success", f"{flux}\n{run}")

    def test_operations(self):
        database = os.environ["TIDEGATE_TEST_PROMETHEUS"]
        sink = {"prometheus": {"url": database + "/api/v1/write"}}
        with self.pipeline("operations", sink, strings=False) as (_, out, metrics), tempfile.TemporaryDirectory() as folder:
            port = free_port()
            target = metrics.removeprefix("http://").removesuffix("/metrics")
            scraping = {"scrape_configs": [{"job_name": "t", "scrape_interval": "1s", "static_configs": [{"targets": [target]}]}]}
            pathlib.Path(folder, "prometheus.yaml").write_text(yaml.safe_dump(scraping))
            with process(installed("prometheus") / "bin" / "prometheus", f"--config.file={folder}/prometheus.yaml",
                    f"--storage.tsdb.path={folder}/data", f"--web.listen-address=127.0.0.1:{port}",
                    ready=f"http://127.0.0.1:{port}/-/ready"):
                ask = self.promql(f"http://127.0.0.1:{port}")
                until("scrapes", lambda: ask("count_over_time(tidegate_build_info[1m]) > 3"))
                self.every_query(out, "operations", "expr", ask, PROMQL)


if __name__ == "__main__":
    unittest.main(verbosity=2)
