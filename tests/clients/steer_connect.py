"""steer_connect.py URL PLUGIN CONFIG: kafka-connect-py's whole command set against one connector, made from CONFIG.

Prints an array of JSON for each command: its name, and the fields of the reply with their types. The names of
options are each plugin's own, so of a configuration only that it is a map of texts is told.
"""

import json
import sys
import time

from kafka_connect import KafkaConnect

url, plugin, config = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
name = config["name"]
connect = KafkaConnect(url=url)


def fields(value, key=None):
    if key == "config":
        assert all(isinstance(text, str) for text in value.values()), value
        return "texts"
    if isinstance(value, dict):
        of = {("NAME" if each == name else each): fields(inner, each) for each, inner in value.items()}
        return dict(sorted(of.items()))
    if isinstance(value, list):
        return [fields(value[0])] if value else []
    # A default, a value or a group may be missing in either.
    return "nothing or text" if value is None or key in ("default_value", "value", "group") else type(value).__name__


def tell(command, reply):
    print(json.dumps([command, fields(reply)]))


def until(state):
    deadline = time.monotonic() + 60
    while True:
        status = connect.get_connector_status(name)
        tasks = status["tasks"]
        if status["connector"]["state"] == state and (
            not tasks if state == "STOPPED" else tasks and all(task["state"] == state for task in tasks)
        ):
            return tell("status " + state, status)
        assert time.monotonic() < deadline, status
        time.sleep(0.2)


info = connect.get_cluster_info()
assert info["version"] >= "3.6", info
tell("info", info)
plugins = [each for each in connect.list_connector_plugins() if each["class"] == plugin]
tell("plugins", plugins)
tell("validate", {"error_count": connect.validate_connector_config(plugin, config)["error_count"]})
rows = connect.validate_connector_config(plugin, config)["configs"]
tell("validate's row", next(row for row in rows if row["definition"]["name"] == "topics"))
tell("create", connect.create_connector({"name": name, "config": config}))
until("RUNNING")
tell("list", [each for each in connect.list_connectors() if each == name])
for expand in ["status", "info"]:
    tell("list " + expand, connect.list_connectors(expand=expand)[name])
tell("get", connect.get_connector(name))
tell("config", {"config": connect.get_connector_config(name)})
tell("update", connect.update_connector(name, config))
until("RUNNING")
tell("tasks", connect.list_connector_tasks(name))
tell("task", connect.get_connector_task_status(name, 0))
# Kafka Connect names a topic after its first record, which may take a while.
assert isinstance(connect.list_connector_topics(name)[name].pop("topics"), list)
tell("pause", connect.pause_connector(name))
until("PAUSED")
tell("resume", connect.resume_connector(name))
until("RUNNING")
tell("restart", connect.restart_connector(name))
until("RUNNING")
tell("restart with tasks", connect.restart_connector(name, include_tasks=True))
until("RUNNING")
tell("restart a task", connect.restart_connector_task(name, 0))
until("RUNNING")
tell("reset topics", connect.reset_connector_topics(name))
tell("stop", connect.stop_connector(name))
until("STOPPED")
tell("delete", connect.delete_connector(name))
try:
    connect.get_connector(name)
    tell("get what is gone", None)
except Exception as error:
    response = getattr(error, "response", None)
    tell("get what is gone", response.json() if response is not None else json.loads(str(error)))
