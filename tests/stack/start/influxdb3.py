"""influxdb3.py PORT TOKEN: what stands for an InfluxDB 3, which is not to be had: its routes for writes and for SQL.

The SQL is DataFusion's, the engine that InfluxDB 3 is built on. Measurements are tables of the schema `iox` with the
column types that InfluxDB 3 gives them (its `influxdb3_catalog`): tags are dictionaries, the time is in nanoseconds, and
a field that a row doesn't have is NULL. The answer is that of `/api/v3/query_sql` with `format: json`: an array of
objects without their NULLs (`influxdb3_server/src/http.rs`).

POST /forget takes rows out: `{"table": …, "where": SQL}`; POST /change sets a column: `{"table", "where", "set", "to"}`.
"""

import gzip
import json
import re
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pyarrow as pa
from datafusion import SessionConfig, SessionContext

PORT, TOKEN = int(sys.argv[1]), sys.argv[2]
TAG, TIME = pa.dictionary(pa.int32(), pa.utf8()), pa.timestamp("ns")
UNITS = {"nanosecond": 1, "microsecond": 1_000, "millisecond": 1_000_000, "second": 1_000_000_000}
# By table: the columns with their types, and the rows by tags and time.
tables = {}
lock = threading.Lock()


def split(text, at, quoted):
    """The parts of a text between characters that no backslash stands before and, if asked, no quotes stand around."""
    parts, start, place, inside = [], 0, 0, False
    while place < len(text):
        character = text[place]
        if character == "\\":
            place += 1
        elif quoted and character == '"':
            inside = not inside
        elif character == at and not inside:
            parts.append(text[start:place])
            start = place + 1
        place += 1
    return parts + [text[start:]]


def plain(text):
    return re.sub(r"\\([ ,=])", r"\1", text)


def value(text):
    if text[0] == '"':
        return pa.utf8(), re.sub(r'\\(["\\])', r"\1", text[1:-1])
    if text[0] in "tTfF":
        return pa.bool_(), text[0] in "tT"
    if text[-1] in "iu":
        return (pa.int64() if text[-1] == "i" else pa.uint64()), int(text[:-1])
    return pa.float64(), float(text)


def lines(body):
    """A line ends at a line break that stands in no string; strings begin behind a field's name."""
    parts, start, inside = [], 0, False
    for place, character in enumerate(body):
        if character == '"' and (inside or body[place - 1] == "="):
            slashes = len(body[:place]) - len(body[:place].rstrip("\\"))
            inside = not inside or slashes % 2 == 1
        elif character == "\n" and not inside:
            parts.append(body[start:place])
            start = place + 1
    return [line for line in parts + [body[start:]] if line]


def write(body, unit):
    for line in lines(body):
        head = split(line, " ", False)[0]
        fields, time = split(line[len(head) + 1 :], " ", True)
        measurement, *tags = split(head, ",", False)
        columns, rows = tables.setdefault(plain(measurement), ({"time": TIME}, {}))
        tags = [tuple(map(plain, split(tag, "=", False))) for tag in tags]
        key = (*sorted(tags), int(time) * unit)
        row = rows.setdefault(key, {**dict(tags), "time": int(time) * unit})
        columns.update((tag, TAG) for tag, _ in tags)
        for field in split(fields, ",", True):
            name, text = split(field, "=", True)
            kind, row[plain(name)] = value(text)
            columns.setdefault(plain(name), kind)


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


def select(query):
    config = SessionConfig().with_default_catalog_and_schema("public", "iox").with_information_schema(True)
    context = SessionContext(config)
    for name, (columns, rows) in tables.items():
        arrays = [pa.array([row.get(c) for row in rows.values()], kind) for c, kind in columns.items()]
        batch = pa.record_batch(arrays, names=list(columns))
        context.register_record_batches(quoted(name), [[batch]])
    found = [row for batch in context.sql(query).collect() for row in batch.to_pylist()]
    return [{name: value for name, value in row.items() if value is not None} for row in found]


def chosen(table, where):
    """The keys of the rows for which a condition of SQL is so."""
    keys = {json.dumps(list(key)): key for key in tables[table][1]}
    tags = [name for name, kind in tables[table][0].items() if kind == TAG]
    names = ", ".join(map(quoted, tags))
    found = select(f'SELECT CAST(time AS BIGINT) AS time, {names} FROM {quoted(table)} WHERE {where}')
    key = lambda row: (*sorted((tag, row[tag]) for tag in tags if tag in row), row["time"])
    return [keys[json.dumps(list(key(row)))] for row in found]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers["Content-Encoding"] == "gzip":
            body = gzip.decompress(body)
        address = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(address.query).items()}
        if self.headers["Authorization"] not in (f"Bearer {TOKEN}", f"Token {TOKEN}"):
            return self.answer(401, "")
        with lock:
            try:
                self.answer(*self.act(address.path, query, body.decode()))
            except Exception as error:
                self.answer(500, json.dumps({"error": str(error)}))

    def act(self, path, query, body):
        if path == "/api/v3/write_lp":
            write(body, UNITS[query["precision"]])
            return 204, ""
        asked = json.loads(body)
        if path == "/api/v3/query_sql":
            assert asked["db"] == "tests" and asked["format"] == "json", asked
            return 200, json.dumps(select(asked["q"]))
        rows = tables[asked["table"]][1]
        for key in chosen(asked["table"], asked["where"]):
            if path == "/forget":
                del rows[key]
            else:
                rows[key][asked["set"]] = asked["to"]
        return 204, ""

    def answer(self, status, body):
        body = body.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("127.0.0.1", PORT), Handler).serve_forever()
