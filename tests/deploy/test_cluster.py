"""The chart's life in a real Kubernetes API server: what it admits, and what helm does to it. No pod runs."""
import pathlib
import unittest

import yaml

from chart import CHART, FULL, OTHER, PLAIN, REPOSITORY, helm, render
from cluster import cluster

# The charts of releases, as `helm package` made them. Before the first release: the chart as it first was.
(PREVIOUS,) = pathlib.Path(__file__).with_name("charts").glob("tidegate-*.tgz")

# `checks` and hooks make no lasting object.
PLURALS = {
    "ConfigMap": "/api/v1/namespaces/plant/configmaps", "Service": "/api/v1/namespaces/plant/services",
    "ServiceAccount": "/api/v1/namespaces/plant/serviceaccounts", "Pod": "/api/v1/namespaces/plant/pods",
    "StatefulSet": "/apis/apps/v1/namespaces/plant/statefulsets",
    "PodDisruptionBudget": "/apis/policy/v1/namespaces/plant/poddisruptionbudgets",
    "NetworkPolicy": "/apis/networking.k8s.io/v1/namespaces/plant/networkpolicies",
    "Ingress": "/apis/networking.k8s.io/v1/namespaces/plant/ingresses",
    "HorizontalPodAutoscaler": "/apis/autoscaling/v2/namespaces/plant/horizontalpodautoscalers",
    "ServiceMonitor": "/apis/monitoring.coreos.com/v1/namespaces/plant/servicemonitors",
    "PodMonitor": "/apis/monitoring.coreos.com/v1/namespaces/plant/podmonitors",
    "PrometheusRule": "/apis/monitoring.coreos.com/v1/namespaces/plant/prometheusrules",
    "ScaledObject": "/apis/keda.sh/v1alpha1/namespaces/plant/scaledobjects",
}


class Life(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.enterClassContext(cls.running())

    @classmethod
    def running(cls):
        context = cluster()

        class Entered:
            def __enter__(self):
                cls.cluster = context.__enter__()
                cls.cluster.define()
                cls.cluster.ask("/api/v1/namespaces", "POST", {"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": "plant"}})

            def __exit__(self, *how):
                return context.__exit__(*how)

        return Entered()

    def helm(self, *arguments, values=None):
        environment = {"KUBECONFIG": str(self.cluster.kubeconfig)}
        done = helm(*arguments, "--namespace", "plant", values=values, environment=environment)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def names(self):
        """What there is of the release, by kind."""
        found = {}
        for kind, path in PLURALS.items():
            items = self.cluster.ask(path)["items"]
            ours = [o["metadata"]["name"] for o in items if o["metadata"].get("labels", {}).get("app.kubernetes.io/instance") == "t"]
            if ours:
                found[kind] = sorted(ours)
        return found

    def rendered(self, values):
        found = {}
        for thing in render(values):
            # The hook of `helm test`, and what the values add as it is.
            if thing["kind"] != "Pod" and thing["metadata"]["name"] != "extra":
                found.setdefault(thing["kind"], []).append(thing["metadata"]["name"])
        return {kind: sorted(names) for kind, names in found.items()}

    def test_every_object_is_admitted_with_no_field_unknown(self):
        for values in (FULL, OTHER):
            for thing in render(values):
                self.cluster.ask(f"{PLURALS[thing['kind']]}?dryRun=All&fieldValidation=Strict", "POST", thing)

    def test_the_manifests_for_those_without_helm_are_admitted(self):
        text = (REPOSITORY / "helm" / "manifests" / "tidegate.yaml").read_text()
        for thing in filter(None, yaml.safe_load_all(text)):
            path = PLURALS[thing["kind"]].replace("/plant/", f"/{thing['metadata']['namespace']}/")
            self.cluster.ask(f"{path}?dryRun=All&fieldValidation=Strict", "POST", thing)

    def test_upgraded_in_place_from_the_last_releases_chart_and_rolled_back_to_it(self):
        def pods_owner():
            found = self.cluster.ask(PLURALS["StatefulSet"] + "/t-tidegate")["metadata"]
            return found["uid"], found["labels"]["helm.sh/chart"]

        self.helm("install", "t", PREVIOUS, values=FULL)
        uid, chart = pods_owner()
        self.assertEqual(chart, PREVIOUS.stem)
        self.helm("upgrade", "t", CHART, "--reset-then-reuse-values")
        self.assertEqual(self.names(), self.rendered(FULL))
        after, chart = pods_owner()
        self.assertEqual(after, uid, "the StatefulSet was made anew")
        self.assertNotEqual(chart, PREVIOUS.stem)
        self.helm("rollback", "t", "1")
        self.assertEqual(pods_owner(), (uid, PREVIOUS.stem))
        self.helm("uninstall", "t")
        self.assertEqual(self.names(), {})

    def test_installed_upgraded_rolled_back_and_uninstalled(self):
        def pod():
            return self.cluster.ask(PLURALS["StatefulSet"] + "/t-tidegate")["spec"]["template"]

        def checksum():
            return pod()["metadata"]["annotations"]["checksum/config"]

        notes = self.helm("install", "t", CHART, values=PLAIN)
        self.assertIn("helm test t", notes)
        self.assertEqual(self.names(), self.rendered(PLAIN))
        first = checksum()

        self.helm("upgrade", "t", CHART, values=FULL)
        self.assertEqual(self.names(), self.rendered(FULL))
        self.assertNotEqual(checksum(), first)
        self.assertEqual(pod()["spec"]["terminationGracePeriodSeconds"], 75)

        self.helm("upgrade", "t", CHART, values=OTHER)
        self.assertEqual(self.names(), self.rendered(OTHER))

        self.helm("rollback", "t", "1")
        self.assertEqual(self.names(), self.rendered(PLAIN))
        self.assertEqual(checksum(), first)

        self.helm("uninstall", "t")
        self.assertEqual(self.names(), {})


if __name__ == "__main__":
    unittest.main(verbosity=2)
