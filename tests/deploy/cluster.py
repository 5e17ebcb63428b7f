"""A real Kubernetes API server over a real etcd. Nothing runs the pods: there is no kubelet and no controller."""
import contextlib
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

import yaml

from chart import as_json, definitions, installed

TOKEN = "of-the-tests"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Cluster:
    """Its API at `url`; `kubeconfig` is a file that helm takes."""

    def __init__(self, folder):
        self.folder, self.processes = pathlib.Path(folder), []
        client, peer, self.port = free_port(), free_port(), free_port()
        self.url = f"https://127.0.0.1:{self.port}"
        self.start("etcd", installed("etcd") / "bin" / "etcd",
            f"--data-dir={folder}/etcd", f"--listen-client-urls=http://127.0.0.1:{client}",
            f"--advertise-client-urls=http://127.0.0.1:{client}", f"--listen-peer-urls=http://127.0.0.1:{peer}",
            f"--initial-advertise-peer-urls=http://127.0.0.1:{peer}", f"--initial-cluster=default=http://127.0.0.1:{peer}",
            "--unsafe-no-fsync")
        key = self.folder / "accounts.key"
        subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, capture_output=True)
        (self.folder / "tokens.csv").write_text(f"{TOKEN},tests,tests,system:masters\n")
        self.start("kube-apiserver", installed("kube-apiserver") / "bin" / "kube-apiserver",
            f"--etcd-servers=http://127.0.0.1:{client}", "--service-account-issuer=https://tests",
            f"--service-account-key-file={key}", f"--service-account-signing-key-file={key}",
            f"--token-auth-file={folder}/tokens.csv", "--authorization-mode=RBAC", "--bind-address=127.0.0.1",
            f"--secure-port={self.port}", f"--cert-dir={folder}/certificates", "--service-cluster-ip-range=10.0.0.0/24",
            "--disable-admission-plugins=ServiceAccount", "--endpoint-reconciler-type=none")
        self.kubeconfig = self.folder / "kubeconfig"
        self.kubeconfig.write_text(yaml.safe_dump({
            "apiVersion": "v1", "kind": "Config", "current-context": "tests",
            "clusters": [{"name": "tests", "cluster": {"server": self.url, "insecure-skip-tls-verify": True}}],
            "users": [{"name": "tests", "user": {"token": TOKEN}}],
            "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "tests"}}],
        }))
        self.wait_for("/readyz")

    def start(self, name, *command):
        with (self.folder / f"{name}.log").open("w") as log:
            self.processes.append(subprocess.Popen([str(part) for part in command], stdout=log, stderr=log))

    def stop(self):
        for process in reversed(self.processes):
            process.send_signal(signal.SIGTERM)
        for process in reversed(self.processes):
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def ask(self, path, method="GET", body=None):
        """The answer's object; None where there is nothing."""
        request = urllib.request.Request(self.url + path, method=method, data=body and as_json(body))
        request.add_header("Authorization", f"Bearer {TOKEN}")
        request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, context=ssl._create_unverified_context(), timeout=60) as answer:
                text = answer.read().decode()
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise AssertionError(f"{method} {path}: {error.code} {error.read().decode()}") from None
        return yaml.safe_load(text) if text.startswith("{") else text

    def wait_for(self, path, seconds=90):
        deadline = time.monotonic() + seconds
        while True:
            with contextlib.suppress(AssertionError, urllib.error.URLError, ConnectionError, TimeoutError):
                if self.ask(path) is not None:
                    return
            if time.monotonic() > deadline or any(process.poll() is not None for process in self.processes):
                logs = [file.read_text()[-3000:] for file in self.folder.glob("*.log")]
                raise AssertionError(f"{path} did not answer:\n" + "\n".join(logs))
            time.sleep(0.2)

    def define(self):
        """Installs the operators' definitions, and waits until they are served."""
        for definition in definitions():
            self.ask("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", "POST", definition)
        for definition in definitions():
            spec = definition["spec"]
            served = next(version["name"] for version in spec["versions"] if version["served"])
            self.wait_for(f"/apis/{spec['group']}/{served}/{spec['names']['plural']}")


@contextlib.contextmanager
def cluster():
    folder = tempfile.mkdtemp(prefix="tidegate-cluster-")
    running = None
    try:
        running = Cluster(folder)
        yield running
    finally:
        if running:
            running.stop()
        shutil.rmtree(folder, ignore_errors=True)
