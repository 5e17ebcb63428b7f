"""Asks a dashboard's queries as Grafana would."""
import json
import os
import unittest
import urllib.parse

from stack import http

PROMQL = {"$site": ".*", "$device": ".*", "$connector": ".*", "$__rate_interval": "1m"}
FLUX = {"v.timeRangeStart": "-1h", "v.timeRangeStop": "now()", "v.windowPeriod": "10s", "${site:regex}": ".*", "${device:regex}": ".*"}
INFLUXQL = {"$timeFilter": "time > now() - 1h", "$__interval": "10s", "$site": ".*", "$device": ".*"}


def filled(query, macros):
    """The query as Grafana sends it, with every variable at `All`."""
    for macro, text in sorted(macros.items(), key=lambda macro: -len(macro[0])):
        query = query.replace(macro, text)
    return query


class Queries(unittest.TestCase):
    def every_query(self, out, name, field, ask, macros):
        """Asks every panel's query, and says which found nothing."""
        dashboard = json.loads((out / "dashboards" / f"{name}.json").read_text())
        empty = []
        for panel in dashboard["panels"]:
            for target in panel["targets"]:
                if not ask(filled(target[field], macros)):
                    empty.append((panel["title"], target[field]))
        self.assertEqual(empty, [])
        return [panel["title"] for panel in dashboard["panels"]]

    def promql(self, database):
        def ask(query):
            # Without `nocache` VictoriaMetrics shows only what is older than half a minute.
            question = urllib.parse.urlencode({"query": query, "nocache": 1})
            answer = http(f"{database}/api/v1/query?{question}")
            self.assertEqual(answer[0], 200, answer[1])
            return json.loads(answer[1])["data"]["result"]

        return ask

    def flux(self, query):
        return self.flux_csv(query)[1:]

    def flux_csv(self, query):
        database = os.environ["TIDEGATE_TEST_INFLUXDB2"]
        answer = http(database + "/api/v2/query?org=tidegate", "POST", query, Authorization="Token tidegate-tests-token",
            Content_Type="application/vnd.flux", Accept="application/csv")
        self.assertEqual(answer[0], 200, f"{query}\n{answer[1]}")
        return answer[1].strip().splitlines()
