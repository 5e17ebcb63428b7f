"""The container's command line, run here as a process with the chart's own ConfigMaps, laid out as kubelet does it."""
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


def mounted(folder, data):
    """A ConfigMap as kubelet mounts it: files that are links through `..data` into a folder with the time in its name."""
    version = folder / "..2026_11_26_02_00_00.1"
    version.mkdir(parents=True)
    (folder / "..data").symlink_to(version.name)
    for name, text in data.items():
        (version / name).write_text(text)
        (folder / name).symlink_to(f"..data/{name}")


@unittest.skipUnless(os.environ.get("TIDEGATE_TEST_KAFKA"), "needs the stack: tests/deploy/run.sh")
class Process(unittest.TestCase):
    def test_the_charts_configmap_runs_answers_the_probes_and_drains_within_the_grace_period(self):
        kafka, database = os.environ["TIDEGATE_TEST_KAFKA"], os.environ["TIDEGATE_TEST_VICTORIA_METRICS"]
        topic = f"chart-{os.getpid()}"
        new_topic(kafka, topic, partitions=3)
        port = free_port()
        connector = {
            "topics": [topic],
            "point": {
                "measurement": topic.replace("-", "_"),
                "tags": {"device": "device"},
                "fields": {"temperature": "temperature"},
                "timestamp": {"path": "ts", "unit": "ms"},
            },
            "sink": {"influxdb": {"url": "${DATABASE}", "org": "o", "bucket": "b", "precision": "ms"}},
            # Long, so that the stop finds an open batch.
            "batch": {"linger": "5s"},
            "delivery": {"drain": "8s"},
        }
        values = {
            "connectors": {topic: connector},
            "config": {"kafka": {"bootstrap.servers": kafka}},
            "server": {"address": "127.0.0.1", "port": port},
            "env": [{"name": "DATABASE", "value": database}],
        }
        objects = render(values)
        pod = the(objects, "StatefulSet")["spec"]["template"]["spec"]
        container = pod["containers"][0]
        with tempfile.TemporaryDirectory() as root:
            folder = pathlib.Path(root)
            mounted(folder / "etc/tidegate", the(objects, "ConfigMap", "t-tidegate")["data"])
            mounted(folder / "etc/tidegate-connectors", the(objects, "ConfigMap", "t-tidegate-connectors")["data"])
            arguments = [a.replace("/etc/", f"{root}/etc/") for a in container["args"]]
            environment = {e["name"]: e.get("value", "t-tidegate-0") for e in container["env"]}
            with (folder / "log").open("w") as log:
                process = subprocess.Popen([BINARY, *arguments], env=environment, stderr=log, cwd="/")
            try:
                self.probed_and_stopped(process, pod, port, kafka, topic)
            finally:
                process.kill()
                process.wait()
                log = (folder / "log").read_text()
        self.assertNotIn("ERROR", log)
        self.assertEqual(self.held(database, topic), RECORDS, log)

    def probed_and_stopped(self, process, pod, port, kafka, topic):
        base = f"http://127.0.0.1:{port}"

        def shows(line):
            return lambda: process.poll() is not None or line in http(base + "/metrics")[1]

        for kind in ("livenessProbe", "readinessProbe"):
            path = pod["containers"][0][kind]["httpGet"]["path"]
            until(path, lambda: process.poll() is not None or (http(base + path) or (0,))[0] == 200)
        until("partitions", shows(f'tidegate_partitions_assigned{{connector="{topic}"}} 3'))
        now = int(time.time() * 1000) - RECORDS
        produce(kafka, topic, ({"device": f"d{n % 7}", "temperature": n, "ts": now + n} for n in range(RECORDS)))
        until("records", shows(f'tidegate_records_consumed_total{{connector="{topic}"}} {RECORDS}'), pause=0.05)
        before = time.monotonic()
        process.send_signal(signal.SIGTERM)
        code = process.wait(pod["terminationGracePeriodSeconds"])
        self.assertEqual(code, 0)
        print(f"stopped in {time.monotonic() - before:.2f} s of {pod['terminationGracePeriodSeconds']} s")

    def held(self, database, topic):
        http(database + "/internal/force_flush")
        query = urllib.parse.urlencode({"match[]": topic.replace("-", "_") + "_temperature"})
        lines = http(f"{database}/api/v1/export?{query}")[1].splitlines()
        return sum(len(json.loads(line)["values"]) for line in lines)


if __name__ == "__main__":
    unittest.main(verbosity=2)
