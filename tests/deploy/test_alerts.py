"""Alerts for real: a message in Kafka, Tidegate, Prometheus or Mimir with the generated rules, Alertmanager, and a webhook."""
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


class Webhook(http.server.ThreadingHTTPServer):
    """Keeps the alerts that arrive, with the time of each."""

    def __init__(self):
        self.seen = []
        webhook = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                webhook.seen += [(time.time(), alert) for alert in body["alerts"]]
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_):
                pass

        super().__init__(("127.0.0.1", 0), Handler)

    def wait_for(self, status, name, seconds=90):
        def look():
            return next((s for s in self.seen if s[1]["status"] == status and s[1]["labels"]["alertname"] == name), None)

        return until(f"{name} {status}", look, seconds)


def connector(name, database):
    return {
        "name": name,
        "topics": [name],
        "point": {
            "measurement": "boiler",
            "tags": {"device": "device"},
            "fields": {"temperature": "temperature"},
            "timestamp": {"path": "ts", "unit": "ms"},
        },
        "sink": {"prometheus": {"url": database + "/api/v1/write"}},
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
        "receivers": [{"name": "tests", "webhook_configs": [{"url": f"http://127.0.0.1:{webhook.server_port}"}]}],
    }
    (folder / "alertmanager.yaml").write_text(yaml.safe_dump(configuration))
    with process(installed("alertmanager") / "bin" / "alertmanager", f"--config.file={folder}/alertmanager.yaml",
            f"--storage.path={folder}/alertmanager", f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address=",
            ready=f"http://127.0.0.1:{port}/-/ready"):
        yield f"127.0.0.1:{port}"


@contextlib.contextmanager
def prometheus(folder, rules, alertmanager):
    port = free_port()
    configuration = {
        "global": {"evaluation_interval": "1s"},
        "rule_files": [str(rules / "*.yaml")],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [alertmanager]}]}]},
    }
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(configuration))
    with process(installed("prometheus") / "bin" / "prometheus", f"--config.file={folder}/prometheus.yaml",
            f"--storage.tsdb.path={folder}/prometheus", f"--web.listen-address=127.0.0.1:{port}",
            "--web.enable-remote-write-receiver", "--rules.alert.resend-delay=1s", ready=f"http://127.0.0.1:{port}/-/ready"):
        yield f"http://127.0.0.1:{port}"


@unittest.skipUnless(os.environ.get("TIDEGATE_TEST_KAFKA"), "needs the stack: tests/deploy/run.sh")
class Alerts(unittest.TestCase):
    def test_a_message_over_the_threshold_reaches_the_webhook_and_so_does_its_end(self):
        kafka = os.environ["TIDEGATE_TEST_KAFKA"]
        name = f"boiler-{os.getpid()}"
        new_topic(kafka, name)
        webhook = Webhook()
        threading.Thread(target=webhook.serve_forever, daemon=True).start()
        with tempfile.TemporaryDirectory() as root, contextlib.ExitStack() as running:
            folder = pathlib.Path(root)
            manager = running.enter_context(alertmanager(folder, webhook))
            rules = folder / "out" / "rules"
            rules.mkdir(parents=True)
            database = running.enter_context(prometheus(folder, rules, manager))
            files, _ = running.enter_context(tidegate(kafka, connector(name, database)))
            run("grafana", "export", "-o", folder / "out", "--config", files / "tidegate.yaml", files / f"{name}.yaml")
            (rules / "pipeline.yaml").unlink()  # its metrics are not scraped here
            ask(database + "/-/reload", "POST")
            subprocess.run(["kill", "-HUP", subprocess.run(["pgrep", "-f", f"{folder}/prometheus.yaml"], capture_output=True,
                text=True, check=True).stdout.split()[0]], check=True)
            produced = self.produce(kafka, name, 95)
            fired, alert = webhook.wait_for("firing", "TooHot")
            labels = alert["labels"]
            self.assertEqual(
                {n: labels[n] for n in ("alertname", "connector", "device", "severity", "team", "managed_by")},
                {"alertname": "TooHot", "connector": name, "device": "d1", "severity": "critical", "team": "plant",
                 "managed_by": "tidegate"})
            self.assertEqual(alert["annotations"]["summary"], "d1 has 95")
            cooled = self.produce(kafka, name, 20)
            resolved, _ = webhook.wait_for("resolved", "TooHot")
            print(f"from produce to webhook: {fired - produced:.1f} s firing, {resolved - cooled:.1f} s resolved")

    def produce(self, kafka, topic, temperature):
        now = time.time()
        produce(kafka, topic, [{"device": "d1", "temperature": temperature, "ts": int(now * 1000)}])
        return now


class RuleFiles(unittest.TestCase):
    """The rules for the pipeline, by Prometheus' own tool."""

    def promtool(self, *arguments):
        done = subprocess.run([installed("prometheus") / "bin" / "promtool", *map(str, arguments)], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_promtool_takes_them(self):
        self.promtool("check", "rules", REPOSITORY / "helm/tidegate/files/pipeline-rules.yaml")

    def test_each_fires_when_it_should_and_only_then(self):
        self.promtool("test", "rules", REPOSITORY / "tests/deploy/pipeline-rules.test.yaml")


if __name__ == "__main__":
    unittest.main(verbosity=2)
