"""Writes what Prometheus' Python client exposes, in both text formats: the inputs of `*_client`.

    pip install prometheus-client
    python prometheus_client_text.py ../formats
"""
import pathlib
import sys

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, Summary, exposition
from prometheus_client.openmetrics import exposition as openmetrics

registry = CollectorRegistry()
requests = Counter("http_requests", 'Requests, by "route"\nand code', ["route", "code"], registry=registry)
requests.labels("/pay C:\\x \"now\"", "200").inc(3)
requests.labels("/", "500").inc(1e20)
temperature = Gauge("room_temperature_celsius", "Of a room", ["room"], registry=registry)
temperature.labels("1 east").set(-21.5)
temperature.labels("broken").set(float("nan"))
temperature.labels("oven").set(float("inf"))
latency = Histogram("latency_seconds", "Of an answer", buckets=(0.005, 1), registry=registry)
latency.observe(0.004, {"trace_id": "abc"})
latency.observe(4)
Summary("size_bytes", "Of a request", registry=registry).observe(512)
Info("build", "Of the server", registry=registry).info({"version": "1.2.3", "empty": ""})

folder = pathlib.Path(sys.argv[1])
for name, module, kind in (
    ("prometheus_text_client", exposition, "txt"),
    ("openmetrics_client", openmetrics, "txt"),
):
    lines = module.generate_latest(registry).decode().splitlines(keepends=True)
    (folder / name).mkdir(exist_ok=True)
    # The clock's times would be others with every run.
    lines = [l.rsplit(" ", 1)[0] + " 1.795658400123e+09\n" if "_created" in l and l[0] != "#" else l for l in lines]
    lines = [l.rsplit(" ", 1)[0] + " 1795658400.123\n" if "# {" in l else l for l in lines]
    (folder / name / f"input.{kind}").write_text("".join(lines))
