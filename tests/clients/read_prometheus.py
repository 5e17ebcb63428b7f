"""read_prometheus.py URL TENANT START END SELECTOR: prints what prometheus-api-client reads, an array of JSON for each
sample: how it was asked for, the time in milliseconds, the tag, the metric's name, and the value's text.

It asks for raw samples by an instant query, and once more by a range query with a step of a second. TENANT may be empty.
"""

import json
import sys
from datetime import datetime, timezone

from prometheus_api_client import PrometheusConnect

url, tenant, start, end, selector = sys.argv[1:]
client = PrometheusConnect(url=url, headers={"X-Scope-OrgID": tenant} if tenant else None)
moment = lambda seconds: datetime.fromtimestamp(int(seconds), timezone.utc)
seconds = int(end) - int(start) + 1
raw = client.custom_query(f"{selector}[{seconds}s]", params={"time": end})
stepped = client.custom_query_range(selector, moment(start), moment(end), "1s")
for how, answer in (("raw", raw), ("range", stepped)):
    for series in answer:
        metric = series["metric"]
        for time, value in series["values"]:
            print(json.dumps([how, round(time * 1000), metric["device"], metric["__name__"], value]))
