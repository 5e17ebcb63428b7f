"""Writes what a real Prometheus sends by remote write, as it came over HTTP: the inputs of `remote_write_v*`.

    python prometheus_server.py "$(../stack/install.sh --where prometheus)" "$(../stack/install.sh --where prometheus3)" ../formats
"""
import http.server
import pathlib
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

METRICS = """\
# TYPE jobs_total counter
jobs_total{queue="mail, slow",state="do\\"ne"} 42
# TYPE temperature gauge
temperature{room="broken"} NaN
temperature{room="1 east"} -21.5
# TYPE latency histogram
latency_bucket{le="0.1"} 1
latency_bucket{le="+Inf"} 2
latency_sum 1.25
latency_count 2
"""
CONFIG = """
global: {{ scrape_interval: 1s, external_labels: {{ cluster: north }} }}
scrape_configs:
- job_name: plant
  static_configs: [{{ targets: ['127.0.0.1:{port}'] }}]
{more}
remote_write:
- url: http://127.0.0.1:{port}/write
{message}
  queue_config: {{ batch_send_deadline: 1s, max_shards: 1 }}
"""
# Prometheus 3 tells of itself by a native histogram.
NATIVE = """
- job_name: self
  scrape_native_histograms: true
  static_configs: [{{ targets: ['127.0.0.1:{own}'] }}]
  metric_relabel_configs:
  - {{ source_labels: [__name__, handler], regex: 'prometheus_http_request_duration_seconds;/-/ready', action: keep }}
"""


class Receiver(http.server.BaseHTTPRequestHandler):
    bodies, up = [], True

    def do_GET(self):
        # Without the target, its series end.
        self.send_response(200 if self.up else 503)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(METRICS.encode() if self.up else b"")

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.bodies.append(body)
        self.send_response(204)
        self.send_header("X-Prometheus-Remote-Write-Samples-Written", "1000")
        self.end_headers()

    def log_message(self, *_):
        pass


def run(folder, message, flags, native):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    Receiver.bodies, Receiver.up = [], True
    port, own = server.server_port, server.server_port + 1
    program = next(p for p in (folder / "prometheus", folder / "bin/prometheus") if p.is_file())
    with tempfile.TemporaryDirectory() as data:
        config = pathlib.Path(data, "prometheus.yml")
        more = NATIVE.format(own=own) if native else ""
        config.write_text(CONFIG.format(port=port, message=message, more=more))
        child = subprocess.Popen(
            [program, f"--config.file={config}", f"--storage.tsdb.path={data}/tsdb",
             f"--web.listen-address=127.0.0.1:{own}", *flags],
            stderr=open(f"{data}/log", "w"),
        )
        try:
            for _ in range(60):
                time.sleep(0.25)
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{own}/-/ready").read()
                except OSError:
                    continue
            time.sleep(2)
            Receiver.up = False
            time.sleep(4)
        finally:
            child.terminate()
            child.wait()
        if not Receiver.bodies:
            sys.exit(open(f"{data}/log").read())
    server.shutdown()
    return Receiver.bodies


two, three, out = map(pathlib.Path, sys.argv[1:])
V2 = "  protobuf_message: io.prometheus.write.v2.Request\n  send_native_histograms: true"
for name, bodies in (
    ("remote_write_v1_prometheus", run(two, "", [], False)),
    ("remote_write_v2_prometheus", run(three, V2, ["--enable-feature=metadata-wal-records"], True)),
):
    # The first; and the first of those that end series, which are the smaller ones.
    middle = (max(map(len, bodies)) + min(map(len, bodies))) / 2
    chosen = bodies[0], next(body for body in bodies[::-1] if len(body) > middle)
    for at, body in enumerate(chosen, 1):
        (out / name / f"input-{at}.snappy").write_bytes(body)
