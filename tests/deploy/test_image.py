"""The image that docker/image.sh has built: what is in it, and Tidegate in it, by the runtime that container engines use."""
import contextlib
import json
import os
import pathlib
import re
import subprocess
import tempfile
import unittest
import zlib

import test_process
from chart import REPOSITORY
from stack import until

IMAGE = REPOSITORY / "target" / "image"


class Container:
    """The image, with a read-only root, without capabilities, in the network of this machine."""

    def __init__(self, folder, arguments, environment=None, mounts=(), **options):
        self.name, self.state = f"tidegate-{os.getpid()}-{folder.name}", folder / "runc"
        config = json.loads((IMAGE / "config.json").read_text())["config"]
        user, group = map(int, config["User"].split(":"))
        bundle = folder / "bundle"
        bundle.mkdir()
        subprocess.run(["runc", "spec"], cwd=bundle, check=True)
        spec = json.loads((bundle / "config.json").read_text())
        spec["process"] |= {
            "terminal": False, "user": {"uid": user, "gid": group}, "args": [*config["Entrypoint"], *arguments],
            "env": [*config.get("Env", ()), *(f"{name}={value}" for name, value in (environment or {}).items())],
            "capabilities": {}, "noNewPrivileges": True,
        }
        spec["root"] = {"path": str(IMAGE / "rootfs"), "readonly": True}
        spec["mounts"] += [{"destination": to, "source": str(source), "type": "bind", "options": ["rbind", "ro"]} for source, to in mounts]
        spec["linux"]["namespaces"] = [n for n in spec["linux"]["namespaces"] if n["type"] != "network"]
        (bundle / "config.json").write_text(json.dumps(spec))
        self.process = subprocess.Popen([*self.runc(), "run", "--bundle", bundle, self.name], **options)

    def runc(self):
        return ["runc", "--root", str(self.state)]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        subprocess.run([*self.runc(), "delete", "--force", self.name], capture_output=True)
        self.process.wait()

    def pid(self):
        def look():
            done = subprocess.run([*self.runc(), "state", self.name], capture_output=True, text=True)
            return done.returncode == 0 and json.loads(done.stdout)["status"] == "running" and json.loads(done.stdout)["pid"]

        return until("the container", look)

    def run(self, *command):
        return subprocess.run([*self.runc(), "exec", self.name, *command], capture_output=True, text=True)


@unittest.skipUnless(IMAGE.exists(), "needs the image: make image")
class Contents(unittest.TestCase):
    def test_its_labels_user_and_command_are_those_of_the_dockerfile(self):
        config = json.loads((IMAGE / "config.json").read_text())["config"]
        self.assertEqual(config["User"], "65532:65532")
        self.assertEqual(config["Entrypoint"], ["/usr/local/bin/tidegate"])
        labels = {name.removeprefix("org.opencontainers.image."): value for name, value in config["Labels"].items()}
        self.assertEqual((labels["title"], labels["licenses"]), ("tidegate", "Apache-2.0"))
        self.assertIn(f'version = "{labels["version"]}"', (REPOSITORY / "Cargo.toml").read_text())
        self.assertRegex(labels["revision"], "^[0-9a-f]{40}$")

    def test_the_binary_is_of_the_images_architecture_and_finds_its_libraries(self):
        # That of this machine, and what docker/image.sh has built beside it for another.
        for image in IMAGE.parent.glob("image*"):
            architecture = json.loads((image / "config.json").read_text())["architecture"]
            binary = image / "rootfs/usr/local/bin/tidegate"
            header = subprocess.run(["readelf", "--wide", "--file-header", "--dynamic", binary], check=True, capture_output=True, text=True).stdout
            self.assertIn({"amd64": "X86-64", "arm64": "AArch64"}[architecture], header)
            needed = re.findall(r"\(NEEDED\).*\[(.+)\]", header)
            self.assertIn("libssl.so.3", needed)
            there = {file.name for file in (image / "rootfs").rglob("*.so*")}
            self.assertEqual(set(needed) - there, set())

    def test_there_is_no_shell_and_nothing_of_the_build(self):
        there = [file for file in (IMAGE / "rootfs").rglob("*") if file.is_file()]
        programs = [file.name for file in there if file.parent.name in ("bin", "sbin")]
        self.assertEqual([name for name in programs if name in ("sh", "bash", "dash", "busybox", "apt", "cargo")], [])
        self.assertEqual([file for file in there if file.suffix in (".rs", ".rlib", ".a")], [])

    def test_the_binary_lists_its_crates_for_scanners(self):
        binary = IMAGE / "rootfs/usr/local/bin/tidegate"
        with tempfile.NamedTemporaryFile() as section:
            subprocess.run(["objcopy", "--dump-section", f".dep-v0={section.name}", binary, "/dev/null"], check=True)
            packages = json.loads(zlib.decompress(pathlib.Path(section.name).read_bytes()))["packages"]
        names = {package["name"] for package in packages}
        self.assertLessEqual({"tidegate", "rdkafka-sys", "rustls", "tokio"}, names)
        lock = (REPOSITORY / "Cargo.lock").read_text()
        for package in packages:
            self.assertIn(f'name = "{package["name"]}"\nversion = "{package["version"]}"', lock)


@unittest.skipUnless(IMAGE.exists(), "needs the image: make image")
class Demo(unittest.TestCase):
    def test_the_demo_loses_nothing_in_it(self):
        with tempfile.TemporaryDirectory() as root:
            with Container(pathlib.Path(root), ["demo", "--seconds", "20"], stdout=subprocess.PIPE, text=True) as container:
                said, _ = container.process.communicate(timeout=60)
                self.assertEqual(container.process.returncode, 0, said)
        print(said.strip().splitlines()[-1])


@unittest.skipUnless(IMAGE.exists(), "needs the image: make image")
class Pod(test_process.Process):
    """What test_process has the binary do, in the image, mounted as kubelet does it."""

    @contextlib.contextmanager
    def started(self, folder, arguments, environment, log):
        mounts = [(folder / path, f"/{path}") for path in ("etc/tidegate", "etc/tidegate-connectors")]
        with Container(folder, arguments, environment, mounts, stdout=log, stderr=log) as self.container:
            # `check` may be over by now.
            if arguments[0] == "run":
                self.confined(self.container.pid())
            yield self.container.process

    def asked(self, *arguments):
        return self.container.run("/usr/local/bin/tidegate", *arguments).returncode

    def confined(self, pid):
        process = pathlib.Path(f"/proc/{pid}")
        status = dict(line.split(":\t", 1) for line in (process / "status").read_text().splitlines() if ":\t" in line)
        self.assertEqual(status["Uid"].split(), ["65532"] * 4)
        self.assertEqual({name: int(status[name], 16) for name in ("CapPrm", "CapEff", "CapBnd")}, {"CapPrm": 0, "CapEff": 0, "CapBnd": 0})
        self.assertEqual(status["NoNewPrivs"], "1")
        root = next(line.split() for line in (process / "mountinfo").read_text().splitlines() if line.split()[4] == "/")
        self.assertIn("ro", root[5].split(","))


if __name__ == "__main__":
    unittest.main(verbosity=2)
