"""Produces to Kafka with confluent-kafka's own Avro, Protobuf and JSON-Schema serialisers, and is their schema
registry, over HTTP, until its standard input ends.

    produce_confluent.py BOOTSTRAP TOPIC_PREFIX

The registry is the part of Confluent's documented REST API that the serialisers and a reader use
(https://docs.confluent.io/platform/current/schema-registry/develop/api.html), with basic authentication. It prints its
address, and then a line a topic. A line `down` on the standard input makes it answer 503, and `up` ends that.
"""
import json
import sys
import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

sys.path.insert(0, __file__.rsplit("/", 2)[0] + "/formats")
import make_samples as samples  # noqa: E402

schemas = []          # the id is the place, from 1
subjects = {}         # subject → ids, the version is the place, from 1
down = threading.Event()
lock = threading.Lock()


def described(subject, version, schema_id):
    return {"subject": subject, "version": version, "id": schema_id, "guid": guid(schema_id), **schemas[schema_id - 1]}


def guid(schema_id):
    return str(uuid.UUID(int=schema_id))


def register(subject, body):
    schema = {key: body[key] for key in ("schema", "schemaType", "references") if body.get(key)}
    with lock:
        if schema not in schemas:
            schemas.append(schema)
        schema_id = schemas.index(schema) + 1
        versions = subjects.setdefault(subject, [])
        if schema_id not in versions:
            versions.append(schema_id)
        return described(subject, versions.index(schema_id) + 1, schema_id)


class Registry(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/vnd.schemaregistry.v1+json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def refused(self):
        if down.is_set():
            self.answer(503, {"error_code": 50301, "message": "no leader"})
        elif self.headers.get("Authorization") != "Basic cmVhZGVyOnNlY3JldA==":   # reader:secret
            self.answer(401, {"error_code": 40101, "message": "Unauthorized"})
        else:
            return False
        return True

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
        if self.refused():
            return
        parts = [unquote(part) for part in urlsplit(self.path).path.strip("/").split("/")]
        self.answer(200, register(parts[1], body))

    def do_GET(self):
        if self.refused():
            return
        parts = [unquote(part) for part in urlsplit(self.path).path.strip("/").split("/")]
        if parts[:2] == ["schemas", "ids"] and 0 < int(parts[2]) <= len(schemas):
            return self.answer(200, {"guid": guid(int(parts[2])), **schemas[int(parts[2]) - 1]})
        if parts[:2] == ["schemas", "guids"] and 0 < uuid.UUID(parts[2]).int <= len(schemas):
            return self.answer(200, schemas[uuid.UUID(parts[2]).int - 1])
        if parts[0] == "schemas":
            return self.answer(404, {"error_code": 40403, "message": "Schema not found"})
        if parts[0] != "subjects" or len(parts) != 4:
            return self.answer(404, {"error_code": 404, "message": "HTTP 404 Not Found"})
        versions = subjects.get(parts[1], [])
        if parts[3] != "latest" and not 0 < int(parts[3]) <= len(versions):
            return self.answer(404, {"error_code": 40402, "message": "Version not found"})
        version = len(versions) if parts[3] == "latest" else int(parts[3])
        return self.answer(200, described(parts[1], version, versions[version - 1]))


def serializers(client):
    from confluent_kafka.schema_registry import Schema, SchemaReference, header_schema_id_serializer
    from confluent_kafka.schema_registry.avro import AvroSerializer
    from confluent_kafka.schema_registry.json_schema import JSONSerializer
    from confluent_kafka.schema_registry.protobuf import ProtobufSerializer

    client.register_schema("site", Schema(json.dumps(samples.AVRO_SITE), "AVRO"))
    schema = Schema(json.dumps(samples.AVRO), "AVRO", [SchemaReference("acme.plant.Site", "site", 1)])
    pb = samples.protobuf_module()
    in_header = {"schema.id.serializer": header_schema_id_serializer}
    yield "avro", AvroSerializer(client, schema), samples.avro_reading(21.5)
    yield "avro_header", AvroSerializer(client, schema, conf=in_header), samples.avro_reading(21.5)
    old = {"use.deprecated.format": False}
    yield "protobuf", ProtobufSerializer(pb.Envelope.Reading, client, old), samples.protobuf_reading(pb)
    yield "protobuf_header", ProtobufSerializer(pb.Envelope.Reading, client, {**old, **in_header}), \
        samples.protobuf_reading(pb)
    yield "json_schema", JSONSerializer(json.dumps(samples.JSON_SCHEMA), client), samples.JSON_READING


def main():
    from confluent_kafka import Producer
    from confluent_kafka.schema_registry import SchemaRegistryClient
    from confluent_kafka.serialization import MessageField, SerializationContext

    bootstrap, prefix = sys.argv[1:]
    server = ThreadingHTTPServer(("127.0.0.1", 0), Registry)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    print(url, flush=True)
    client = SchemaRegistryClient({"url": url, "basic.auth.user.info": "reader:secret"})
    producer = Producer({"bootstrap.servers": bootstrap})
    for name, serializer, reading in serializers(client):
        topic = f"{prefix}_{name}"
        for _ in range(3):
            headers = []
            value = serializer(reading, SerializationContext(topic, MessageField.VALUE, headers))
            producer.produce(topic, value, headers=headers)
        if name == "avro":
            # Of a schema that nobody has registered.
            producer.produce(topic, b"\0" + (9999).to_bytes(4, "big") + value[5:])
        producer.flush()
        print(topic, flush=True)
    print("done", flush=True)
    for line in sys.stdin:
        if line.strip() == "down":
            down.set()
        else:
            down.clear()
        print(line.strip(), flush=True)


if __name__ == "__main__":
    main()
