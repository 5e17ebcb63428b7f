"""The container's command line, run here as a process with the chart's own ConfigMaps, laid out as kubelet does it."""
import contextlib
import json
import os
import pathlib
import signal
import subprocess
import tempfile
import time
import unittest
import urllib.parse

from chart import render, the
from stack import BINARY, free_port, http, new_topic, produce, until

RECORDS = 2000


def mounted(folder, data, version=1):
    """A ConfigMap as kubelet mounts it, or changes it: files that are links through `..data`, itself a link that is put in the
    place of the former in one step, into a folder with the time in its name."""
    files = folder / f"..2026_11_26_02_00_00.{version}"
    files.mkdir(parents=True)
    for name, text in data.items():
        (files / name).write_text(text)
    (folder / "..data_tmp").symlink_to(files.name)
    (folder / "..data_tmp").rename(folder / "..data")
    for name in data:
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(f"..data/{name}")


@unittest.skipUnless(os.environ.get("TIDEGATE_TEST_KAFKA"), "needs the stack: tests/deploy/run.sh")
class Process(unittest.TestCase):
    def connector(self, topic):
        return {
            "topics": [topic],
            "point": {
                "measurement": topic.replace("-", "_"),
                "tags": {"device": "device"},
                "fields": {"temperature": "temperature"},
                "timestamp": {"path": "ts", "unit": "ms"},
            },
            "sink": {"influxdb": {"url": "${DATABASE}", "org": "o", "bucket": "b", "precision": "ms"}},
            # Long, so that a stop finds an open batch.
            "batch": {"linger": "5s"},
            "delivery": {"drain": "8s"},
        }

    def values(self, *topics, **more):
        return {
            "connectors": {topic: self.connector(topic) for topic in topics},
            "config": {"kafka": {"bootstrap.servers": os.environ["TIDEGATE_TEST_KAFKA"]}},
            "server": {"address": "127.0.0.1", "port": self.port},
            "env": [{"name": "DATABASE", "value": os.environ["TIDEGATE_TEST_VICTORIA_METRICS"]}],
        } | more

    def setUp(self):
        self.port = free_port()
        self.base = f"http://127.0.0.1:{self.port}"
        self.topic = f"{type(self).__name__.lower()}-{self.port}"
        new_topic(os.environ["TIDEGATE_TEST_KAFKA"], self.topic, partitions=3)

    @contextlib.contextmanager
    def pod(self, objects, pod=None):
        """The pod's container, its specification, and the folder in which its ConfigMaps are mounted."""
        pod = pod or the(objects, "StatefulSet")["spec"]["template"]["spec"]
        container = pod["containers"][0]
        environment = {e["name"]: e.get("value", "t-tidegate-0") for e in container["env"]}
        with tempfile.TemporaryDirectory() as root:
            folder = pathlib.Path(root)
            mounted(folder / "etc/tidegate", the(objects, "ConfigMap", "t-tidegate")["data"])
            mounted(folder / "etc/tidegate-connectors", the(objects, "ConfigMap", "t-tidegate-connectors")["data"])
            with (folder / "log").open("w") as log, self.started(folder, container["args"], environment, log) as process:
                yield process, pod, folder

    def until_shown(self, process, metric):
        until(metric, lambda: process.poll() is not None or f"{metric}\n" in (http(self.base + "/metrics") or (0, ""))[1], pause=0.05)

    def test_the_charts_configmap_runs_answers_the_probes_and_drains_within_the_grace_period(self):
        with self.pod(render(self.values(self.topic))) as (process, pod, folder):
            self.probed_and_stopped(process, pod)
            log = (folder / "log").read_text()
        self.assertNotIn("ERROR", log)
        # VictoriaMetrics takes a moment until it shows all.
        until(f"{RECORDS} points", lambda: self.held() == RECORDS, 20)

    def test_a_changed_configmap_is_taken_in_by_the_same_pod_and_a_wrong_one_changes_nothing(self):
        other = self.topic + "-other"
        new_topic(os.environ["TIDEGATE_TEST_KAFKA"], other)
        with self.pod(render(self.values(self.topic, reload="watch"))) as (process, _, folder):
            self.until_shown(process, f'tidegate_partitions_assigned{{connector="{self.topic}"}} 3')
            changed = the(render(self.values(self.topic, other, reload="watch")), "ConfigMap", "t-tidegate-connectors")["data"]
            mounted(folder / "etc/tidegate-connectors", changed, version=2)
            self.until_shown(process, f'tidegate_partitions_assigned{{connector="{other}"}} 1')
            wrong = {name: text.replace("measurement", "measurment") for name, text in changed.items()}
            mounted(folder / "etc/tidegate-connectors", wrong, version=3)
            self.until_shown(process, "tidegate_config_last_reload_successful 0")
            self.assertIn(f'tidegate_partitions_assigned{{connector="{other}"}} 1', http(self.base + "/metrics")[1])
            self.assertEqual(http(self.base + "/health/ready")[0], 200)
            self.assertIsNone(process.poll())

    def test_helm_test_tells_whether_brokers_and_database_are_there(self):
        def code(**more):
            objects = render(self.values(self.topic, **more))
            with self.pod(objects, the(objects, "Pod")["spec"]) as (process, _, folder):
                return process.wait(60), (folder / "log").read_text()

        self.assertEqual(code()[0], 0)
        away = [{"name": "DATABASE", "value": f"http://127.0.0.1:{free_port()}"}]
        found, said = code(env=away)
        self.assertNotEqual(found, 0)
        self.assertRegex(said, "FAILED +database")

    @contextlib.contextmanager
    def started(self, folder, arguments, environment, log):
        arguments = [argument.replace("/etc/", f"{folder}/etc/") for argument in arguments]
        process = subprocess.Popen([BINARY, *arguments], env=environment, stdout=log, stderr=log, cwd="/")
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def asked(self, *arguments):
        """Runs another command of Tidegate where this process runs. Its exit code."""
        return subprocess.run([BINARY, *arguments], capture_output=True).returncode

    def probed_and_stopped(self, process, pod):
        for kind in ("livenessProbe", "readinessProbe"):
            path = pod["containers"][0][kind]["httpGet"]["path"]
            until(path, lambda: process.poll() is not None or (http(self.base + path) or (0,))[0] == 200)
        for health in ("live", "ready"):
            self.assertEqual(self.asked("status", "--health", health, "--server", f"127.0.0.1:{self.port}"), 0)
        self.until_shown(process, f'tidegate_partitions_assigned{{connector="{self.topic}"}} 3')
        now = int(time.time() * 1000) - RECORDS
        messages = ({"device": f"d{n % 7}", "temperature": n, "ts": now + n} for n in range(RECORDS))
        produce(os.environ["TIDEGATE_TEST_KAFKA"], self.topic, messages)
        self.until_shown(process, f'tidegate_records_consumed_total{{connector="{self.topic}"}} {RECORDS}')
        before = time.monotonic()
        process.send_signal(signal.SIGTERM)
        code = process.wait(pod["terminationGracePeriodSeconds"])
        self.assertEqual(code, 0)
        self.assertNotEqual(self.asked("status", "--health", "live", "--server", f"127.0.0.1:{self.port}"), 0)
        print(f"stopped in {time.monotonic() - before:.2f} s of {pod['terminationGracePeriodSeconds']} s")

    def held(self):
        database = os.environ["TIDEGATE_TEST_VICTORIA_METRICS"]
        http(database + "/internal/force_flush")
        query = urllib.parse.urlencode({"match[]": self.topic.replace("-", "_") + "_temperature"})
        lines = http(f"{database}/api/v1/export?{query}")[1].splitlines()
        return sum(len(json.loads(line)["values"]) for line in lines)


if __name__ == "__main__":
    unittest.main(verbosity=2)
