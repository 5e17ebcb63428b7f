#!/usr/bin/env python3
"""Makes the samples of tests/formats that software of others writes; each is committed.

    "$(tests/stack/install.sh --where confluent-kafka)/venv/bin/python" tests/formats/make_samples.py

Avro, Protobuf and JSON Schema by confluent-kafka's own serialisers against its own in-memory registry, whose
answers are stored as the REST API gives them (https://docs.confluent.io/platform/current/schema-registry/develop/api.html);
MessagePack by msgpack, CBOR by cbor2.
"""
import datetime
import decimal
import json
import pathlib
import uuid

HERE = pathlib.Path(__file__).parent
TIME = datetime.datetime(2026, 11, 22, 10, 0, 0, 250000, tzinfo=datetime.timezone.utc)


def write(folder, name, data):
    path = HERE / folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else data.encode())


def msgpack_samples():
    import msgpack

    reading = {
        "device": "press-7",
        "at": TIME,
        "reading": {"temperature": 21.5, "cycles": 18446744073709551615, "delta": -3, "raw": b"\x01\xff"},
        "flags": [True, False, None],
        7: "a number as a key",
    }
    write("msgpack", "input.bin", msgpack.packb(reading, datetime=True))
    small = {"device": "press-8", "at": TIME, "reading": {"temperature": 0.5}}
    write("msgpack", "input-2.bin", msgpack.packb(small, datetime=True, use_single_float=True))


def cbor_samples():
    import cbor2

    reading = {
        "device": "press-7",
        "at": TIME,
        "reading": {
            "temperature": decimal.Decimal("21.50"),
            "cycles": 2**64 - 1,
            "delta": -(2**63),
            "half": 1.5,
            "raw": b"\x01\xff",
        },
        "big": 2**70,
        7: "a number as a key",
    }
    write("cbor", "input.bin", cbor2.dumps(reading, datetime_as_timestamp=True, canonical=True))
    text = {"device": "press-8", "at": TIME.timestamp(), "reading": {"temperature": 1}}
    write("cbor", "input-2.bin", cbor2.dumps(text))


AVRO_SITE = {
    "type": "record", "name": "Site", "namespace": "acme.plant",
    "fields": [{"name": "name", "type": "string"}, {"name": "floor", "type": "int"}],
}
AVRO = {
    "type": "record", "name": "Reading", "namespace": "acme.plant",
    "fields": [
        {"name": "device", "type": "string"},
        {"name": "site", "type": "acme.plant.Site"},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "day", "type": {"type": "int", "logicalType": "date"}},
        {"name": "temperature", "type": ["null", "double"], "default": None},
        {"name": "pressure", "type": {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 3}},
        {"name": "cycles", "type": "long"},
        {"name": "state", "type": {"type": "enum", "name": "State", "symbols": ["OK", "WARN"]}},
        {"name": "run", "type": {"type": "string", "logicalType": "uuid"}},
        {"name": "tags", "type": {"type": "map", "values": "string"}},
        {"name": "samples", "type": {"type": "array", "items": "float"}},
        {"name": "digest", "type": {"type": "fixed", "name": "Digest", "size": 4}},
    ],
}


def avro_reading(temperature):
    return {
        "device": "press-7",
        "site": {"name": "north", "floor": 2},
        "at": TIME,
        "day": TIME.date(),
        "temperature": temperature,
        "pressure": decimal.Decimal("-101.325"),
        "cycles": 9007199254740993,
        "state": "WARN",
        "run": uuid.UUID("7f2c5b1e-0c1d-4e0a-9a54-0d6c1d5f3a11"),
        "tags": {"line": "a"},
        "samples": [1.5, -2.25],
        "digest": b"\xde\xad\xbe\xef",
    }


def registry(folder, client, ids):
    for schema_id in ids:
        schema = client.get_schema(schema_id)
        answer = {"schema": schema.schema_str}
        if schema.schema_type != "AVRO":
            answer["schemaType"] = schema.schema_type
        references = [
            {"name": r.name, "subject": r.subject, "version": r.version} for r in schema.references or []
        ]
        if references:
            answer["references"] = references
        write(folder, f"registry/schemas/ids/{schema_id}", json.dumps(answer, indent=1) + "\n")
        for r in references:
            registered = client.get_version(r["subject"], r["version"])
            answer = {
                "subject": r["subject"], "version": r["version"], "id": registered.schema_id,
                "schema": registered.schema.schema_str,
            }
            if registered.schema.schema_type != "AVRO":
                answer["schemaType"] = registered.schema.schema_type
            name = f"registry/subjects/{r['subject']}/versions/{r['version']}"
            write(folder, name, json.dumps(answer, indent=1) + "\n")


def confluent_avro():
    from confluent_kafka.schema_registry import Schema, SchemaReference, SchemaRegistryClient
    from confluent_kafka.schema_registry.avro import AvroSerializer
    from confluent_kafka.serialization import MessageField, SerializationContext

    client = SchemaRegistryClient.new_client({"url": "mock://avro"})
    client.register_schema("site", Schema(json.dumps(AVRO_SITE), "AVRO"))
    reference = SchemaReference("acme.plant.Site", "site", 1)
    schema = Schema(json.dumps(AVRO), "AVRO", [reference])
    serializer = AvroSerializer(client, schema)
    context = SerializationContext("sensors", MessageField.VALUE)
    first = serializer(avro_reading(21.5), context)
    write("avro_registry", "input.bin", first)
    write("avro_registry", "input-2.bin", serializer(avro_reading(None), context))
    known = int.from_bytes(first[1:5], "big")
    write("avro_registry", "input-3.unknown-id.bin", b"\0" + (known + 1000).to_bytes(4, "big") + first[5:])
    write("avro_registry", "input-4.cut.bin", first[:-6])
    registry("avro_registry", client, [known])


def avro_files():
    import io
    import fastavro

    write("avro_file", "reading.avsc", json.dumps(
        {**AVRO, "fields": [AVRO["fields"][0], {"name": "site", "type": AVRO_SITE}, *AVRO["fields"][2:]]}, indent=1) + "\n")
    schema = fastavro.parse_schema(json.loads((HERE / "avro_file/reading.avsc").read_text()))
    datum = io.BytesIO()
    fastavro.schemaless_writer(datum, schema, avro_reading(21.5))
    write("avro_file", "input.bin", datum.getvalue())
    canonical = fastavro.schema.to_parsing_canonical_form(schema)
    fingerprint = fastavro.schema.fingerprint(canonical, "CRC-64-AVRO")
    write("avro_single_object", "input.bin", b"\xc3\x01" + bytes.fromhex(fingerprint) + datum.getvalue())


PROTO = '''syntax = "proto3";
package acme.plant;

import "site.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/duration.proto";
import "google/protobuf/wrappers.proto";
import "google/protobuf/struct.proto";

message Unused { string nothing = 1; }

message Envelope {
  message Reading {
    string device = 1;
    Site site = 2;
    google.protobuf.Timestamp at = 3;
    double temperature = 4;
    optional double humidity = 5;
    uint64 cycles = 6;
    sint32 delta = 7;
    State state = 8;
    google.protobuf.Duration took = 9;
    google.protobuf.DoubleValue pressure = 10;
    google.protobuf.Struct extra = 11;
    map<string, int32> counts = 12;
    repeated float samples = 13;
    bytes raw = 14;
    oneof origin { string gateway = 15; int32 port = 16; }
  }
  Reading reading = 1;
}

enum State { UNKNOWN = 0; OK = 1; WARN = 2; }
'''
PROTO_SITE = '''syntax = "proto3";
package acme.plant;
message Site { string name = 1; int32 floor = 2; }
'''


def protobuf_reading(pb, empty=False):
    reading = pb.Envelope.Reading(device="press-7")
    reading.at.FromDatetime(TIME)
    if empty:
        return reading
    reading.site.name, reading.site.floor = "north", 2
    reading.temperature, reading.humidity, reading.cycles, reading.delta = 21.5, 0.0, 2**64 - 1, -3
    reading.state = 2
    reading.took.FromMilliseconds(1250)
    reading.pressure.value = 1013.25
    reading.extra.update({"shift": "night", "level": 3})
    reading.counts["ok"] = 7
    reading.samples.extend([1.5, -2.25])
    reading.raw = b"\xde\xad"
    reading.port = 502
    return reading


def protobuf_module():
    """The Python classes of the schema, made by protoc."""
    import importlib
    import subprocess
    import sys
    import tempfile

    source = HERE / "protobuf_file"
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "grpc_tools.protoc", f"-I{source}", f"--python_out={folder}",
                        "reading.proto", "site.proto"], check=True)
        sys.path.insert(0, folder)
        return importlib.import_module("reading_pb2")


def protobuf_samples():
    from confluent_kafka.schema_registry import SchemaRegistryClient
    from confluent_kafka.schema_registry.protobuf import ProtobufSerializer
    from confluent_kafka.serialization import MessageField, SerializationContext

    write("protobuf_file", "reading.proto", PROTO)
    write("protobuf_file", "site.proto", PROTO_SITE)
    pb = protobuf_module()
    write("protobuf_file", "input.bin", protobuf_reading(pb).SerializeToString(deterministic=True))
    write("protobuf_file", "input-2.defaults.bin", protobuf_reading(pb, True).SerializeToString())
    client = SchemaRegistryClient.new_client({"url": "mock://protobuf"})
    serializer = ProtobufSerializer(pb.Envelope.Reading, client, {"use.deprecated.format": False})
    first = serializer(protobuf_reading(pb), SerializationContext("sensors", MessageField.VALUE))
    write("protobuf_registry", "input.bin", first)
    registry("protobuf_registry", client, [int.from_bytes(first[1:5], "big")])


JSON_SCHEMA = {
    "$schema": "http://json-schema.org/draft-07/schema#", "title": "Reading", "type": "object",
    "properties": {"device": {"type": "string"}, "temperature": {"type": "number"}, "at": {"type": "string"}},
    "required": ["device"],
}
JSON_READING = {"device": "press-7", "temperature": 21.5, "at": "2026-11-22T10:00:00.25Z"}


def json_schema_samples():
    from confluent_kafka.schema_registry import SchemaRegistryClient
    from confluent_kafka.schema_registry.json_schema import JSONSerializer
    from confluent_kafka.serialization import MessageField, SerializationContext

    client = SchemaRegistryClient.new_client({"url": "mock://json"})
    serializer = JSONSerializer(json.dumps(JSON_SCHEMA), client)
    context = SerializationContext("sensors", MessageField.VALUE)
    write("json_schema", "input.bin", serializer(JSON_READING, context))


def cloudevents_samples():
    from cloudevents.core.bindings import kafka
    from cloudevents.core.formats.json import JSONFormat
    from cloudevents.core.v1.event import CloudEvent

    event = CloudEvent(
        {"id": "17", "source": "/plant/north", "type": "acme.reading", "specversion": "1.0", "time": TIME,
         "datacontenttype": "application/json", "partitionkey": "press-7"},
        {"device": "press-7", "temperature": 21.5})
    for name, message in [("input", kafka.to_binary(event, JSONFormat())),
                          ("input-2.structured", kafka.to_structured(event, JSONFormat()))]:
        write("cloudevents", f"{name}.json", message.value)
        headers = "".join(f"{key}: {value.decode()}\n" for key, value in message.headers.items())
        write("cloudevents", f"{name}.headers", headers)


if __name__ == "__main__":
    import sys
    made = {f.__name__: f for f in [msgpack_samples, cbor_samples, confluent_avro, avro_files, protobuf_samples,
                                    json_schema_samples, cloudevents_samples]}
    for name in sys.argv[1:] or made:
        made[name]()
