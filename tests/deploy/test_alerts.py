"""Alerts for real: a message in Kafka, Tidegate, a database with the generated rules, and a webhook that hears of it."""
import contextlib
import http.server
import json
import os
import pathlib
import subprocess
import tempfile
import threading
import time
import unittest

import yaml

from chart import REPOSITORY, installed
from stack import free_port, http as ask, new_topic, process, produce, run, tidegate, until

START = REPOSITORY / "tests" / "stack" / "start"


class Webhook(http.server.ThreadingHTTPServer):
    """Keeps the bodies that arrive, with the time of each."""

    def __init__(self):
        self.seen = []
        webhook = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                webhook.seen.append((time.time(), body))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_):
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"

    def __enter__(self):
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()

    def alert(self, status):
        """The first of Alertmanager's alerts that is TooHot and has this status, and when it came."""
        def look():
            found = ((at, alert) for at, body in self.seen for alert in body["alerts"]
                if (alert["status"], alert["labels"]["alertname"]) == (status, "TooHot"))
            return next(found, None)

        return until(f"TooHot {status}", look, 180)


def connector(name, sink):
    return {
        "name": name,
        "topics": [name],
        "point": {
            "measurement": "boiler",
            "tags": {"device": "device"},
            "fields": {"temperature": "temperature"},
            "timestamp": {"path": "ts", "unit": "ms"},
        },
        "sink": sink,
        "batch": {"linger": "100ms"},
        "alerts": [{
            "name": "TooHot", "field": "temperature", "above": 80, "for": "0s", "severity": "critical",
            "labels": {"team": "plant"}, "annotations": {"summary": "{{ $labels.device }} has {{ $value }}"},
        }],
    }


@contextlib.contextmanager
def alertmanager(folder, webhook):
    port = free_port()
    configuration = {
        "route": {"receiver": "tests", "group_wait": "0s", "group_interval": "1s", "repeat_interval": "1h"},
        "receivers": [{"name": "tests", "webhook_configs": [{"url": webhook.url}]}],
    }
    (folder / "alertmanager.yaml").write_text(yaml.safe_dump(configuration))
    with process(installed("alertmanager") / "bin" / "alertmanager", f"--config.file={folder}/alertmanager.yaml",
            f"--storage.path={folder}/alertmanager", f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address=",
            ready=f"http://127.0.0.1:{port}/-/ready"):
        yield f"127.0.0.1:{port}"


def export(folder, files, *arguments):
    """The rules of the connectors' folder, without those of the pipeline, whose metrics are not scraped here."""
    run("grafana", "export", "-o", folder / "out", *arguments, "--config", files / "tidegate.yaml", files)
    (folder / "out" / "rules" / "pipeline.yaml").unlink(missing_ok=True)
    return folder / "out"


# Each starts a database at the port that evaluates the connectors' rules every second.

@contextlib.contextmanager
def prometheus(folder, port, files, manager):
    configuration = {
        "global": {"evaluation_interval": "1s"},
        "rule_files": [str(export(folder, files) / "rules" / "*.yaml")],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [manager]}]}]},
    }
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(configuration))
    with process(installed("prometheus") / "bin" / "prometheus", f"--config.file={folder}/prometheus.yaml",
            f"--storage.tsdb.path={folder}/prometheus", f"--web.listen-address=127.0.0.1:{port}",
            "--web.enable-remote-write-receiver", "--rules.alert.resend-delay=1s", ready=f"http://127.0.0.1:{port}/-/ready"):
        # It takes some seconds to find its Alertmanager.
        until("Alertmanager", lambda: manager in ask(f"http://127.0.0.1:{port}/api/v1/alertmanagers")[1])
        yield


@contextlib.contextmanager
def vmalert(folder, port, files, manager):
    rules = export(folder, files) / "rules"
    own = free_port()
    database = f"http://127.0.0.1:{port}"
    with process(START / "victoria-metrics.sh", folder / "data", port, ready=database + "/health"), \
            process(installed("vmalert") / "bin" / "vmalert", f"-rule={rules}/*.yaml", f"-datasource.url={database}",
                f"-notifier.url=http://{manager}", "-evaluationInterval=1s", f"-httpListenAddr=127.0.0.1:{own}",
                ready=f"http://127.0.0.1:{own}/health"):
        yield


@contextlib.contextmanager
def mimir(folder, port, files, manager):
    url = f"http://127.0.0.1:{port}"
    with process(START / "mimir.sh", folder / "data", port, free_port(), free_port(), f"-ruler.alertmanager-url=http://{manager}",
            "-ruler.evaluation-interval=1s", "-ruler.resend-delay=1s", ready=url + "/ready"):
        run("grafana", "apply", "--mimir", url, "--tenant", "plant", "--config", files / "tidegate.yaml", files)
        yield


@unittest.skipUnless(os.environ.get("TIDEGATE_TEST_KAFKA"), "needs the stack: tests/deploy/run.sh")
class Alerts(unittest.TestCase):
    """A message over the threshold reaches the webhook, and so does its end."""

    def through(self, rules, path, sink=None):
        kafka = os.environ["TIDEGATE_TEST_KAFKA"]
        name, port = f"boiler-{rules.__name__}-{os.getpid()}", free_port()
        new_topic(kafka, name)
        sink = {"prometheus": {"url": f"http://127.0.0.1:{port}{path}"} | (sink or {})}
        with tempfile.TemporaryDirectory() as root, contextlib.ExitStack() as running:
            folder = pathlib.Path(root)
            webhook = running.enter_context(Webhook())
            manager = running.enter_context(alertmanager(folder, webhook))
            files, _ = running.enter_context(tidegate(kafka, connector(name, sink)))
            running.enter_context(rules(folder, port, files, manager))
            produced = self.produce(kafka, name, 95)
            fired, alert = webhook.alert("firing")
            labels = {"alertname": "TooHot", "connector": name, "device": "d1", "severity": "critical", "team": "plant",
                "managed_by": "tidegate"}
            self.assertEqual(alert["labels"], alert["labels"] | labels)
            self.assertEqual(alert["annotations"]["summary"], "d1 has 95")
            self.assertFalse([body for _, body in webhook.seen if body["status"] == "resolved"])
            cooled = self.produce(kafka, name, 20)
            resolved, alert = webhook.alert("resolved")
            self.assertEqual(alert["labels"], alert["labels"] | labels)
        print(f"{rules.__name__}, from produce to webhook: {fired - produced:.1f} s firing, {resolved - cooled:.1f} s resolved")

    def produce(self, kafka, topic, temperature):
        now = time.time()
        produce(kafka, topic, [{"device": "d1", "temperature": temperature, "ts": int(now * 1000)}])
        return now

    def test_prometheus(self):
        self.through(prometheus, "/api/v1/write")

    def test_vmalert_over_victoria_metrics(self):
        self.through(vmalert, "/api/v1/write")

    def test_mimirs_ruler(self):
        self.through(mimir, "/api/v1/push", {"headers": {"X-Scope-OrgID": "plant"}})

    def test_influxdbs_tasks_and_its_own_notifications(self):
        kafka, database = os.environ["TIDEGATE_TEST_KAFKA"], os.environ["TIDEGATE_TEST_INFLUXDB2"]
        name = f"boiler-influxdb-{os.getpid()}"
        new_topic(kafka, name)
        headers = {"Authorization": "Token tidegate-tests-token", "Content_Type": "application/json"}

        def make(what, thing):
            status, body = ask(f"{database}/api/v2/{what}", "POST", json.dumps(thing), **headers)
            self.assertEqual(status, 201, body)
            return json.loads(body)

        sink = {"influxdb": {"url": database, "org": "tidegate", "bucket": "tests", "token": "tidegate-tests-token"}}
        with tempfile.TemporaryDirectory() as root, Webhook() as webhook, tidegate(kafka, connector(name, sink)) as (files, _):
            out = export(pathlib.Path(root), files, "--rules", "flux")
            (task,) = (out / "tasks").iterdir()
            task = make("tasks", {"org": "tidegate", "flux": task.read_text()})
            own = {"orgID": task["orgID"], "type": "http", "status": "active"}
            endpoint = make("notificationEndpoints", own | {"name": name, "url": webhook.url, "method": "POST", "authMethod": "none"})
            # It looks back twice as far, and must find in that what the task has written each minute.
            make("notificationRules", own | {"name": name, "endpointID": endpoint["id"], "every": "1m", "offset": "0s",
                "tagRules": [{"key": "connector", "value": name, "operator": "equal"}],
                "statusRules": [{"currentLevel": "CRIT"}, {"currentLevel": "OK", "previousLevel": "CRIT"}]})

            def heard(level, temperature):
                """The notification of a boiler that reports every second, and how long it took."""
                since = time.time()

                def look():
                    self.produce(kafka, name, temperature)
                    return next((seen for seen in webhook.seen if seen[1]["_level"] == level), None)

                at, body = until(level, look, 240, pause=1)
                return body, at - since

            body, firing = heard("crit", 95)
            labels = {"_check_name": f"tidegate-{name}: TooHot", "connector": name, "device": "d1", "team": "plant",
                "managed_by": "tidegate"}
            self.assertEqual(body, body | labels | {"_message": "d1 has 95"})
            body, resolved = heard("ok", 20)
            self.assertEqual(body, body | labels | {"_message": "d1 has 20"})
            ask(f"{database}/api/v2/tasks/{task['id']}", "DELETE", **headers)
        print(f"InfluxDB's tasks, from produce to webhook: {firing:.0f} s firing, {resolved:.0f} s resolved")


class RuleFiles(unittest.TestCase):
    """By Prometheus' own tool."""

    def promtool(self, *arguments):
        done = subprocess.run([installed("prometheus") / "bin" / "promtool", *map(str, arguments)], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def test_promtool_takes_those_of_the_pipeline(self):
        self.promtool("check", "rules", REPOSITORY / "helm/tidegate/files/pipeline-rules.yaml")

    def test_those_of_a_connector_fire_for_the_series_that_has_been_over_its_threshold_for_so_long(self):
        with tempfile.TemporaryDirectory() as root:
            folder = pathlib.Path(root)
            (folder / "tidegate.yaml").write_text("kafka: { bootstrap.servers: 'localhost:9092' }\n")
            boilers = connector("boilers", {"prometheus": {"url": "http://localhost:9090/api/v1/write"}})
            boilers["alerts"][0]["for"] = "5m"
            (folder / "boilers.yaml").write_text(yaml.safe_dump(boilers))
            (rules,) = (export(folder, folder) / "rules").iterdir()
            self.assertIn("SUCCESS: 1 rules found", self.promtool("check", "rules", rules))
            labels = {"connector": "boilers", "device": "d1", "managed_by": "tidegate", "severity": "critical", "team": "plant"}
            fired = {"exp_labels": labels, "exp_annotations": {"summary": "d1 has 95"}}
            # Hot from the third minute to the tenth, but for d2 only for four of them.
            series = {"d1": "20 20 20 95x7 20x9", "d2": "20 20 20 95x3 20x13"}
            (folder / "test.yaml").write_text(yaml.safe_dump({
                "rule_files": [str(rules)],
                "tests": [{
                    "interval": "1m",
                    "input_series": [{"series": f'boiler_temperature{{device="{d}"}}', "values": values} for d, values in series.items()],
                    "alert_rule_test": [
                        {"alertname": "TooHot", "eval_time": f"{minute}m", "exp_alerts": alerts}
                        for minute, alerts in ((7, []), (8, [fired]), (10, [fired]), (12, []))
                    ],
                }],
            }))
            self.promtool("test", "rules", folder / "test.yaml")

    def test_each_fires_when_it_should_and_only_then(self):
        self.promtool("test", "rules", REPOSITORY / "tests/deploy/pipeline-rules.test.yaml")


if __name__ == "__main__":
    unittest.main(verbosity=2)
