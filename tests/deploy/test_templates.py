"""What the chart renders, without a cluster."""
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

import jsonschema
import kubernetes_validate
import yaml

from chart import BARE, CHART, FULL, MATRIX, OTHER, PLAIN, REPOSITORY, definitions, helm, refusal, render, the

VERSIONS = ["1.25", "1.28", "1.31", "1.34", "1.37"]
OPERATORS = ("monitoring.coreos.com", "keda.sh")


def closed(schema):
    """The schema of a definition, but unknown keys are errors, as for `kubectl --validate=strict`."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {key: closed(value) for key, value in schema.items()}
    # Go's way of saying it, which Python's expressions don't know. The API server's test has it.
    if str(schema.get("pattern", "")).startswith("^(?i)"):
        del schema["pattern"]
    if schema.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    if isinstance(schema.get("properties"), dict) and not schema.get("x-kubernetes-preserve-unknown-fields"):
        schema.setdefault("additionalProperties", False)
    return schema


class Shapes(unittest.TestCase):
    def test_every_object_of_every_matrix_is_valid_for_each_kubernetes(self):
        for name, values in MATRIX.items():
            objects = render(values)
            for version in VERSIONS:
                for thing in objects:
                    if not thing["apiVersion"].split("/")[0].endswith(OPERATORS):
                        with self.subTest(values=name, version=version, kind=thing["kind"]):
                            kubernetes_validate.validate(thing, version, strict=True)

    def test_objects_of_the_operators_fit_their_definitions(self):
        schemas = {}
        for definition in definitions():
            for version in definition["spec"]["versions"]:
                key = (f"{definition['spec']['group']}/{version['name']}", definition["spec"]["names"]["kind"])
                schema = closed(version["schema"]["openAPIV3Schema"])
                schema["properties"]["metadata"] = {"type": "object"}
                schemas[key] = schema
        kinds = set()
        for values in MATRIX.values():
            for thing in render(values):
                if thing["apiVersion"].split("/")[0].endswith(OPERATORS):
                    jsonschema.validate(thing, schemas[thing["apiVersion"], thing["kind"]])
                    kinds.add(thing["kind"])
        self.assertEqual(kinds, {"ServiceMonitor", "PodMonitor", "PrometheusRule", "ScaledObject"})

    def test_lint_is_strict(self):
        for name, values in MATRIX.items():
            done = helm("lint", "--strict", CHART, values=values)
            self.assertEqual(done.returncode, 0, f"{name}: {done.stdout}{done.stderr}")

    def test_what_is_generated_is_up_to_date(self):
        for command in (["helm/readme.py", "--check"], ["helm/manifests.py", "--check"]):
            done = subprocess.run([sys.executable, *command], cwd=REPOSITORY, capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stderr)


class Pods(unittest.TestCase):
    def pod(self, values):
        return the(render(values), "StatefulSet")["spec"]["template"]["spec"]

    def test_nothing_runs_as_root_writes_or_has_a_token(self):
        for values in MATRIX.values():
            objects = render(values)
            pods = [o["spec"] for o in objects if o["kind"] == "Pod"]
            for pod in [the(objects, "StatefulSet")["spec"]["template"]["spec"], *pods]:
                self.assertFalse(pod["automountServiceAccountToken"])
                self.assertTrue(pod["securityContext"]["runAsNonRoot"])
                own = pod["containers"][0]["securityContext"]
                self.assertTrue(own["readOnlyRootFilesystem"])
                self.assertFalse(own["allowPrivilegeEscalation"])
                self.assertEqual(own["capabilities"], {"drop": ["ALL"]})

    def test_grace_is_longer_than_the_longest_drain(self):
        self.assertEqual(self.pod(PLAIN)["terminationGracePeriodSeconds"], 30)
        self.assertEqual(self.pod(FULL)["terminationGracePeriodSeconds"], 75)  # 1m5s
        self.assertEqual(self.pod(BARE)["terminationGracePeriodSeconds"], 30)
        half = PLAIN | {"connectors": {"a": "delivery: { drain: 1500ms }"}}
        self.assertEqual(self.pod(half)["terminationGracePeriodSeconds"], 12)
        self.assertIn("terminationGracePeriodSeconds is 60", refusal(FULL | {"terminationGracePeriodSeconds": 60}))
        self.assertEqual(self.pod(FULL | {"terminationGracePeriodSeconds": 90})["terminationGracePeriodSeconds"], 90)

    def test_a_changed_file_rolls_the_pods_and_nothing_else_does(self):
        def checksum(values):
            template = the(render(values), "StatefulSet")["spec"]["template"]
            return template["metadata"]["annotations"]["checksum/config"]

        before = checksum(PLAIN)
        self.assertEqual(before, checksum(PLAIN | {"replicas": 5}))
        self.assertNotEqual(before, checksum(PLAIN | {"config": {"log": "text"}}))
        self.assertNotEqual(before, checksum({"connectors": {"sensors": "workers: 2"}}))
        watching = checksum(PLAIN | {"reload": "watch"})
        self.assertEqual(watching, checksum({"connectors": {"sensors": "workers: 2"}, "reload": "watch"}))
        for reload, watch in (("roll", False), ("watch", True)):
            data = the(render(PLAIN | {"reload": reload}), "ConfigMap", "t-tidegate")["data"]
            self.assertEqual(yaml.safe_load(data["tidegate.yaml"])["watch"], watch)

    def test_secrets_are_mounted_and_never_copied(self):
        pod = self.pod(FULL)
        mounts = {mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]}
        self.assertLessEqual({"/run/secrets/influx-token", "/run/secrets/kafka"}, mounts)
        named = [v["secret"]["secretName"] for v in pod["volumes"] if "secret" in v]
        self.assertEqual(named, ["influx-token", "kafka"])

    def test_a_scaled_set_has_no_number_of_its_own(self):
        self.assertEqual(the(render(FULL | {"keda": {"enabled": False}}), "StatefulSet")["spec"]["replicas"], 3)
        for values in (FULL, OTHER):
            self.assertNotIn("replicas", the(render(values), "StatefulSet")["spec"])

    def test_the_check_pod_is_not_found_by_the_service(self):
        objects = render(PLAIN)
        selector = the(objects, "Service")["spec"]["selector"].items()
        self.assertFalse(selector <= the(objects, "Pod")["metadata"]["labels"].items())
        self.assertLessEqual(selector, the(objects, "StatefulSet")["spec"]["template"]["metadata"]["labels"].items())

    def test_what_is_added_to_a_pod_is_in_it(self):
        pod = self.pod(FULL | {"args": ["/more/connectors"]})
        own, *sidecars = pod["containers"]
        self.assertEqual(own["args"][-2:], ["/more/connectors", "/etc/tidegate-connectors"])
        self.assertLessEqual({"POD_NAME", "INFLUX_URL"}, {variable["name"] for variable in own["env"]})
        self.assertEqual(own["envFrom"], FULL["envFrom"])
        self.assertIn(FULL["volumeMounts"][0], own["volumeMounts"])
        self.assertIn(FULL["volumes"][0], pod["volumes"])
        self.assertEqual((pod["initContainers"], sidecars), (FULL["initContainers"], FULL["sidecars"]))
        for key in ("nodeSelector", "tolerations", "affinity", "priorityClassName", "imagePullSecrets"):
            self.assertEqual(pod[key], FULL[key])

    def test_nothing_is_let_in_from_outside_unless_asked(self):
        for values in (PLAIN, OTHER, BARE):
            objects = render(values)
            self.assertNotIn("Ingress", [thing["kind"] for thing in objects])
            for service in (thing for thing in objects if thing["kind"] == "Service"):
                self.assertEqual(service["spec"].get("type", "ClusterIP"), "ClusterIP")

    def test_a_network_policy_keeps_to_what_it_names_and_leaves_names_to_be_asked_for(self):
        def ports(values):
            policy = the(render(values), "NetworkPolicy")["spec"]
            self.assertEqual(set(policy["policyTypes"]), {"Ingress", "Egress"})
            return [sorted({port["port"] for port in rule.get("ports", [])}) for rule in policy["egress"]]

        self.assertEqual(ports(FULL), [[53], [9092]])
        self.assertEqual(ports(OTHER)[-1], [], "everywhere")

    def test_a_digest_goes_before_the_tag(self):
        digest = "sha256:" + "0" * 64
        image = self.pod(PLAIN | {"image": {"tag": "2", "digest": digest}})["containers"][0]["image"]
        self.assertEqual(image, f"tidegate@{digest}")


class Files(unittest.TestCase):
    def data(self, values, name):
        return the(render(values), "ConfigMap", name)["data"]

    def test_connectors_arrive_as_they_were_written(self):
        data = self.data(FULL, "t-tidegate-connectors")
        self.assertEqual(set(data), {"sensors.yaml", "payments.yaml", "service-events.yaml"})
        self.assertEqual(data["sensors.yaml"], FULL["connectors"]["sensors"])
        self.assertEqual(yaml.safe_load(data["payments.yaml"]), FULL["connectors"]["payments"])

    def test_files_in_the_charts_own_folder_are_taken_and_values_go_before_them(self):
        with tempfile.TemporaryDirectory() as root:
            chart = pathlib.Path(root, "tidegate")
            shutil.copytree(CHART, chart)
            for name in ("sensors", "payments"):
                (chart / "connectors" / f"{name}.yaml").write_text(f"topics: [{name}]\n")
            values = {"connectors": {"sensors": "topics: [mine]\n"}}
            data = the(render(values, chart=chart), "ConfigMap", "t-tidegate-connectors")["data"]
            self.assertEqual(data, {"sensors.yaml": "topics: [mine]\n", "payments.yaml": "topics: [payments]\n"})

    def test_rule_files_are_added_to_those_of_the_pipeline(self):
        groups = the(render(OTHER), "PrometheusRule")["spec"]["groups"]
        self.assertEqual([group["name"] for group in groups], ["tidegate", "own"])

    def test_whole_numbers_stay_whole(self):
        # Helm's numbers are floats unless it is careful, and 1e+06 is no whole number to Tidegate.
        self.assertIn("max_points: 1000000\n", self.data(FULL, "t-tidegate-connectors")["payments.yaml"])

    def test_the_process_file_listens_and_names_its_pod_unless_told_otherwise(self):
        own = yaml.safe_load(self.data(PLAIN, "t-tidegate")["tidegate.yaml"])
        self.assertEqual(own["server"]["listen"], "0.0.0.0:8083")
        self.assertEqual(own["kafka"]["group.instance.id"], "${POD_NAME}")
        told = PLAIN | {"config": {"kafka": {"group.instance.id": "mine"}, "server": {"listen": "[::]:9000"}}}
        own = yaml.safe_load(self.data(told, "t-tidegate")["tidegate.yaml"])
        self.assertEqual(own["server"]["listen"], "[::]:9000")
        self.assertEqual(own["kafka"], {"bootstrap.servers": "kafka:9092", "group.instance.id": "mine"})
        self.assertNotIn("group.instance.id", self.data(BARE, "t-tidegate")["tidegate.yaml"])


class Scaling(unittest.TestCase):
    def test_keda_has_a_trigger_for_each_topic_with_the_group_that_tidegate_has(self):
        triggers = the(render(FULL), "ScaledObject")["spec"]["triggers"]
        seen = {(t["metadata"]["consumerGroup"], t["metadata"].get("topic")) for t in triggers}
        self.assertEqual(seen, {
            ("tidegate-sensors", "sensors"), ("tidegate-payments", "payments"), ("tidegate-service-events", None)})
        self.assertEqual({t["metadata"]["lagThreshold"] for t in triggers}, {"100000"})


class Refusals(unittest.TestCase):
    def test_what_can_not_be_meant_is_refused_with_the_mend(self):
        for change, words in (
            ({"connectors": {}}, "there is no connector"),
            ({"existingConfigMap": "mine"}, "not from both"),
            ({"serviceMonitor": {"enabled": True}, "podMonitor": {"enabled": True}}, "enable one"),
            ({"hpa": {"enabled": True}, "keda": {"enabled": True}}, "enable one"),
            ({"keda": {"enabled": True}, "config": {"kafka": {"bootstrap.servers": "${BROKERS}"}}}, "keda.bootstrapServers"),
            ({"replica": 2}, "replica"),
            ({"prometheusRule": {"enabled": True, "extra": {"a": "rules: []"}}}, "prometheusRule.extra.a is no rule file"),
            ({"prometheusRule": {"enabled": True, "extra": {"a": "groups: ["}}}, "prometheusRule.extra.a is no rule file"),
            ({"image": {"digest": "latest"}}, "digest"),
            ({"connectors": {"a": "- b: ["}}, "is not YAML"),
            ({"connectors": {"a": "delivery: { drain: 3 fortnights }"}}, "fortnights"),
        ):
            with self.subTest(change=change):
                self.assertIn(words, refusal(PLAIN | change))


if __name__ == "__main__":
    unittest.main(verbosity=2)
