"""What the tests of running things share: Kafka, HTTP, and Tidegate as a process."""
import contextlib
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

import yaml

from chart import REPOSITORY, installed

# Another virtual environment, of the same Python.
sys.path.append(str(next(installed("confluent-kafka").glob("venv/lib/python3*/site-packages"))))
from confluent_kafka import Producer  # noqa: E402
from confluent_kafka.admin import AdminClient, NewTopic  # noqa: E402

BINARY = pathlib.Path(os.environ.get("TIDEGATE_BINARY", REPOSITORY / "target" / "debug" / "tidegate"))


def new_topic(kafka, topic, partitions=1):
    admin = AdminClient({"bootstrap.servers": kafka, "log_level": 3})
    admin.create_topics([NewTopic(topic, partitions, 1)])[topic].result()


def produce(kafka, topic, messages):
    """Sends them, and waits until the broker has them."""
    producer = Producer({"bootstrap.servers": kafka, "linger.ms": 0, "log_level": 3})
    for message in messages:
        producer.produce(topic, json.dumps(message))
    assert producer.flush(30) == 0, "the broker has not taken all"


def http(url, method="GET", body=None, **headers):
    """Status and body; None where nothing answers."""
    body = body.encode() if isinstance(body, str) else body
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(url, method=method, data=body, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return None


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(what, look, seconds=60, pause=0.2):
    """The first true thing that `look` returns."""
    deadline = time.monotonic() + seconds
    while True:
        if found := look():
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {seconds} s")
        time.sleep(pause)


@contextlib.contextmanager
def process(*command, ready=None, **options):
    """A process that is ended with the block; `ready` is an address that answers once it serves."""
    with tempfile.TemporaryFile("w+") as log:
        child = subprocess.Popen([str(part) for part in command], stdout=log, stderr=log, **options)
        try:
            if ready:
                until(command[0], lambda: child.poll() is not None or (http(ready) or (0,))[0] == 200)
            if child.poll() is not None:
                log.seek(0)
                raise AssertionError(f"{command[0]} has ended: {log.read()[-3000:]}")
            yield child
        finally:
            child.terminate()
            try:
                child.wait(30)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


@contextlib.contextmanager
def tidegate(kafka, *connectors):
    """`tidegate run` on these connectors (each as its file's content). Gives the folder with the files."""
    with tempfile.TemporaryDirectory() as root:
        folder = pathlib.Path(root)
        port = free_port()
        shared = {"kafka": {"bootstrap.servers": kafka}, "server": {"listen": port}}
        (folder / "tidegate.yaml").write_text(yaml.safe_dump(shared))
        for connector in connectors:
            (folder / f"{connector['name']}.yaml").write_text(yaml.safe_dump(connector))
        with process(BINARY, "run", "--config", folder / "tidegate.yaml", folder, ready=f"http://127.0.0.1:{port}/health/ready"):
            yield folder, f"http://127.0.0.1:{port}/metrics"


def run(*arguments):
    """A command of Tidegate to its end. Its standard output."""
    done = subprocess.run([BINARY, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout
