"""Writes what OpenTelemetry's Python SDK exports, in protobuf and in JSON: the inputs of `otlp_sdk*`.

    pip install opentelemetry-sdk opentelemetry-exporter-otlp-proto-common
    python opentelemetry_sdk.py ../formats
"""
import pathlib
import sys

from google.protobuf.json_format import MessageToJson
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.metrics import Observation
from opentelemetry.sdk.metrics import Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource

TIME = 1_795_658_400_123_456_789

reader = InMemoryMetricReader()
exponential = View(
    instrument_name="queue.wait", aggregation=ExponentialBucketHistogramAggregation(max_size=8)
)
provider = MeterProvider(
    metric_readers=[reader],
    views=[exponential],
    resource=Resource({"service.name": "checkout", "host.cpus": 4, "zones": ["a", "b"]}),
)
meter = provider.get_meter("shop", "1.2.3")
orders = meter.create_counter("orders", unit="1", description="Orders so far")
orders.add(3, {"kind": "card", "retried": True})
orders.add(2, {"kind": "cash", "retried": False})
meter.create_up_down_counter("carts.open").add(-1.5)
meter.create_observable_gauge("room.temperature", [lambda _: [Observation(21.5, {"room": "1 east"})]])
duration = meter.create_histogram(
    "http.server.duration", unit="s", explicit_bucket_boundaries_advisory=[0.005, 0.1, 1]
)
wait = meter.create_histogram("queue.wait", unit="ms")
for value in (0.003, 0.05, 0.07, 2.5):
    duration.record(value, {"http.route": "/pay"})
    wait.record(value * 1000)

request = encode_metrics(reader.get_metrics_data())
# The clock's times would be others with every run.
for of_resource in request.resource_metrics:
    for name in ("telemetry.sdk.version",):
        for attribute in of_resource.resource.attributes:
            if attribute.key == name:
                attribute.value.string_value = "1"
    for scope in of_resource.scope_metrics:
        for metric in scope.metrics:
            for point in getattr(metric, metric.WhichOneof("data")).data_points:
                point.start_time_unix_nano, point.time_unix_nano = TIME - 10**10, TIME

folder = pathlib.Path(sys.argv[1])
for name in ("otlp_sdk_protobuf", "otlp_sdk_json"):
    (folder / name).mkdir(exist_ok=True)
(folder / "otlp_sdk_protobuf/input.protobuf").write_bytes(request.SerializeToString(deterministic=True))
(folder / "otlp_sdk_json/input.json").write_text(MessageToJson(request))
