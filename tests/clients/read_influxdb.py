"""read_influxdb.py URL TOKEN ORG BUCKET MEASUREMENT: prints what influxdb-client reads, an array of JSON for each value.

The time in milliseconds, the tag, the field, and the value's type and text as Python has them.
"""

import json
import sys

from influxdb_client import InfluxDBClient

url, token, org, bucket, measurement = sys.argv[1:]
flux = f"""from(bucket: "{bucket}")
  |> range(start: 2023-11-14T00:00:00Z, stop: 2023-11-16T00:00:00Z)
  |> filter(fn: (r) => r._measurement == "{measurement}")"""
with InfluxDBClient(url=url, token=token, org=org) as client:
    for table in client.query_api().query(flux):
        for record in table.records:
            time, value = round(record.get_time().timestamp() * 1000), record.get_value()
            text = value if isinstance(value, str) else repr(value)
            print(json.dumps([time, record["device"], record.get_field(), type(value).__name__, text]))
