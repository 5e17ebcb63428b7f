"""The trial of docs/quickstart-compose.md without its containers: its own files, over servers that run here."""
import json
import os
import pathlib
import subprocess
import tempfile
import time
import unittest

import yaml

from chart import REPOSITORY, installed
from queries import FLUX, PROMQL, Queries, filled
from stack import BINARY, free_port, http, new_topic, process, produce, until

THERE = REPOSITORY / "docker" / "compose"


class Files(unittest.TestCase):
    def test_the_compose_files_are_what_is_exported(self):
        with tempfile.TemporaryDirectory() as out:
            subprocess.run([REPOSITORY / "docker" / "generate.sh", out], check=True)
            made = [file for file in pathlib.Path(out).rglob("*") if file.is_file()]
            self.assertGreater(len(made), 5)
            for file in made:
                self.assertEqual(file.read_text(), (THERE / file.relative_to(out)).read_text(), f"make generated: {file}")

    def test_its_services_name_files_that_there_are(self):
        compose = yaml.safe_load((REPOSITORY / "docker" / "compose.yaml").read_text())
        for name, service in compose["services"].items():
            for volume in service.get("volumes", []):
                self.assertTrue((REPOSITORY / "docker" / volume.split(":")[0]).exists(), volume)
            for other in service.get("depends_on", {}):
                self.assertIn(other, compose["services"], name)

    def test_composes_own_reader_takes_it(self):
        done = subprocess.run([installed("compose-go") / "bin" / "cmd", REPOSITORY / "docker/compose.yaml"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        services = yaml.safe_load(done.stdout)["services"]
        self.assertEqual(set(services), {"kafka", "topics", "generator", "tidegate", "influxdb", "prometheus", "grafana"})

    def test_prometheus_takes_its_configuration(self):
        with tempfile.TemporaryDirectory() as root:
            file = pathlib.Path(root, "prometheus.yaml")
            file.write_text((THERE / "prometheus.yaml").read_text().replace("/etc/prometheus/rules", str(THERE / "rules")))
            done = subprocess.run([installed("prometheus") / "bin" / "promtool", "check", "config", file], capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


@unittest.skipUnless(os.environ.get("TIDEGATE_TEST_INFLUXDB2"), "needs the stack: tests/deploy/run.sh")
class Trial(Queries):
    def test_its_dashboards_show_the_generators_boilers_and_its_rule_fires(self):
        kafka = os.environ["TIDEGATE_TEST_KAFKA"]
        for topic in ("boilers", "boilers.dead"):
            new_topic(kafka, topic, partitions=4)
        scraped, port = free_port(), free_port()
        database = f"http://127.0.0.1:{port}"
        with tempfile.TemporaryDirectory() as root:
            here = {
                "kafka:9092": kafka, "0.0.0.0:8083": f"127.0.0.1:{scraped}", "tidegate:8083": f"127.0.0.1:{scraped}",
                "http://prometheus:9090": database, "/etc/prometheus/rules": f"{root}/rules",
                "http://influxdb:8086": os.environ["TIDEGATE_TEST_INFLUXDB2"], "tidegate-trial-token": "tidegate-tests-token",
                "acme": "tidegate", "plant": "tests",
            }
            for file in filter(pathlib.Path.is_file, THERE.rglob("*")):
                copy = pathlib.Path(root, file.relative_to(THERE))
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_text(filled(file.read_text(), here))
            with process(installed("prometheus") / "bin" / "prometheus", f"--config.file={root}/prometheus.yaml",
                    f"--storage.tsdb.path={root}/data", f"--web.listen-address=127.0.0.1:{port}",
                    "--web.enable-remote-write-receiver", ready=database + "/-/ready"), \
                    process(BINARY, "run", "--config", f"{root}/tidegate.yaml", f"{root}/connectors",
                        ready=f"http://127.0.0.1:{scraped}/health/ready"):
                self.hot_for_half_a_minute(kafka, database)
                until("scrapes", lambda: self.promql(database)("count_over_time(tidegate_build_info[1m]) > 2"))
                self.every_query(pathlib.Path(root), "boilers-prometheus", "expr", self.promql(database), PROMQL)
                self.every_query(pathlib.Path(root), "operations", "expr", self.promql(database), PROMQL)
                self.every_query(pathlib.Path(root), "boilers-influxdb", "query", self.flux, FLUX)
                group = yaml.safe_load(pathlib.Path(root, "provisioning/alerting/boilers-influxdb.yaml").read_text())["groups"][0]
                self.assertTrue(self.flux(filled(group["rules"][0]["data"][0]["model"]["query"], FLUX)))

    def hot_for_half_a_minute(self, kafka, database):
        """As the generator does it, until Prometheus' rule fires for the one that is hot, and for no other."""
        def firing():
            now = int(time.time())
            produce(kafka, "boilers", [
                {"site": "hall-3", "device": device, "temperature": 92 if device == "b-2" else 63, "running": True, "ts": now * 1000}
                for device in ("b-1", "b-2", "b-3")])
            alerts = json.loads(http(database + "/api/v1/alerts")[1])["data"]["alerts"]
            return [alert for alert in alerts if alert["state"] == "firing"]

        (alert,) = until("BoilerTooHot", firing, pause=1)
        self.assertEqual((alert["labels"]["alertname"], alert["labels"]["device"]), ("BoilerTooHot", "b-2"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
