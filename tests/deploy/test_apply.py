"""`tidegate grafana apply` against a fake Grafana, built from the documented contract of its HTTP API, since Grafana can't be
had on the machines that run this; and against a real Mimir's ruler, where the stack has one.

https://grafana.com/docs/grafana/latest/developers/http_api/{folder,dashboard,alerting_provisioning}/
"""
import contextlib
import http.server
import json
import os
import pathlib
import re
import subprocess
import tempfile
import threading
import unittest

import yaml

from chart import REPOSITORY
from stack import BINARY, http as ask, run

TOKEN = "glsa_of-the-tests"


class Grafana(http.server.ThreadingHTTPServer):
    """Folders, dashboards and rule groups by uid, and every change that was asked for."""

    def __init__(self):
        self.folders, self.dashboards, self.groups, self.changes = {}, {}, {}, []
        grafana = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do(self):
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length)) if length else None
                if self.headers["Authorization"] != f"Bearer {TOKEN}":
                    return self.answer(401, {"message": "Unauthorized"})
                if self.command != "GET":
                    grafana.changes.append((self.command, self.path))
                return self.answer(*grafana.reply(self.command, self.path, body))

            do_GET = do_POST = do_PUT = do

            def answer(self, status, body):
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(json.dumps(body).encode())

            def log_message(self, *_):
                pass

        super().__init__(("127.0.0.1", 0), Handler)

    def reply(self, method, path, body):
        missing = 404, {"message": "not found"}
        if match := re.fullmatch(r"/api/folders/([\w-]+)", path):
            folder = self.folders.get(match[1])
            return (200, folder) if folder else missing
        if (method, path) == ("POST", "/api/folders"):
            if body["uid"] in self.folders:
                return 409, {"message": "a folder with that uid already exists"}
            self.folders[body["uid"]] = body
            return 200, body
        if match := re.fullmatch(r"/api/dashboards/uid/([\w-]+)", path):
            dashboard = self.dashboards.get(match[1])
            return (200, {"dashboard": dashboard, "meta": {}}) if dashboard else missing
        if (method, path) == ("POST", "/api/dashboards/db"):
            dashboard, uid = body["dashboard"], body["dashboard"]["uid"]
            if len(uid) > 40 or not dashboard["title"] or body["folderUid"] not in self.folders:
                return 400, {"message": "bad request"}
            if uid in self.dashboards and not body["overwrite"]:
                return 412, {"status": "version-mismatch"}
            self.dashboards[uid] = dashboard
            return 200, {"uid": uid, "status": "success"}
        if match := re.fullmatch(r"/api/v1/provisioning/folder/([\w-]+)/rule-groups/([\w%.-]+)", path):
            if method == "GET":
                group = self.groups.get(match[2])
                return (200, group) if group else missing
            for rule in body["rules"]:
                known = {data["refId"] for data in rule["data"]}
                fits = rule["condition"] in known and rule["noDataState"] in ("OK", "NoData", "Alerting", "KeepLast")
                if not (fits and rule["execErrState"] in ("OK", "Error", "Alerting") and len(rule["uid"]) <= 40
                        and rule["title"] and rule["orgID"] and rule["for"] and rule["folderUID"] in self.folders):
                    return 400, {"message": "invalid alert rule"}
            self.groups[match[2]] = body
            return 200, body
        return missing


@contextlib.contextmanager
def fake():
    grafana = Grafana()
    threading.Thread(target=grafana.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as root:
        folder = pathlib.Path(root)
        (folder / "token").write_text(TOKEN + "\n")
        connector = (REPOSITORY / "connectors" / "payments.yaml").read_text()
        (folder / "payments.yaml").write_text(connector + ALERTS)
        (folder / "tidegate.yaml").write_text("kafka: { bootstrap.servers: 'localhost:9092' }\n")
        yield grafana, folder
    grafana.shutdown()
    grafana.server_close()


ALERTS = """
alerts:
  - { name: Large payment, field: amount_cents, above: 1000000, for: 0s }
"""


class Apply(unittest.TestCase):
    def arguments(self, grafana, folder, *more):
        return ["grafana", "apply", "--grafana", f"http://127.0.0.1:{grafana.server_port}", "--token-file", folder / "token",
            "--datasource", "prometheus", "--metrics-datasource", "prometheus", "--config", folder / "tidegate.yaml", *more,
            folder / "payments.yaml"]

    def test_twice_is_the_same_as_once(self):
        with fake() as (grafana, folder):
            run(*self.arguments(grafana, folder))
            self.assertEqual(set(grafana.folders), {"tidegate"})
            self.assertEqual(set(grafana.dashboards), {"tidegate-operations", "tidegate-payments"})
            self.assertEqual(set(grafana.groups), {"tidegate", "tidegate-payments"})
            rule = grafana.groups["tidegate-payments"]["rules"][0]
            self.assertEqual(rule["labels"]["managed_by"], "tidegate")
            self.assertEqual(rule["data"][0]["datasourceUid"], "prometheus")
            once = json.dumps([grafana.folders, grafana.dashboards, grafana.groups], sort_keys=True)
            run(*self.arguments(grafana, folder))
            twice = json.dumps([grafana.folders, grafana.dashboards, grafana.groups], sort_keys=True)
            self.assertEqual(once, twice)
            self.assertEqual(grafana.changes.count(("POST", "/api/folders")), 1)

    def refused(self, grafana, folder):
        done = subprocess.run([BINARY, *map(str, self.arguments(grafana, folder))], capture_output=True, text=True)
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertNotIn(TOKEN, done.stderr)
        return done.stderr

    def test_what_is_not_its_own_is_left_alone(self):
        with fake() as (grafana, folder):
            theirs = {"uid": "tidegate-payments", "title": "Mine", "tags": ["mine"]}
            grafana.dashboards["tidegate-payments"] = theirs
            self.assertIn("without the tag `tidegate`", self.refused(grafana, folder))
            self.assertIs(grafana.dashboards["tidegate-payments"], theirs)
            del grafana.dashboards["tidegate-payments"]
            group = {"title": "tidegate-payments", "rules": [{"title": "mine", "labels": {}}]}
            grafana.groups["tidegate-payments"] = group
            self.assertIn("without the label", self.refused(grafana, folder))
            self.assertIs(grafana.groups["tidegate-payments"], group)

    def test_a_wrong_token_is_said_and_not_shown(self):
        with fake() as (grafana, folder):
            (folder / "token").write_text("wrong")
            self.assertIn("401", self.refused(grafana, folder))

    @unittest.skipUnless(os.environ.get("TIDEGATE_TEST_MIMIR"), "needs a real Mimir in TIDEGATE_STACK")
    def test_mimirs_ruler_has_the_rules_once(self):
        url = os.environ["TIDEGATE_TEST_MIMIR"]
        with fake() as (_, folder):
            for _ in range(2):
                run("grafana", "apply", "--mimir", url, "--tenant", "apply", "--config", folder / "tidegate.yaml", folder / "payments.yaml")
            status, body = ask(f"{url}/prometheus/config/v1/rules", X_Scope_OrgID="apply")
            self.assertEqual(status, 200)
            groups = yaml.safe_load(body)["tidegate"]
            self.assertEqual({group["name"] for group in groups}, {"tidegate", "tidegate-payments"})


if __name__ == "__main__":
    unittest.main(verbosity=2)
