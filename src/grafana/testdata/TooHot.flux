import "influxdata/influxdb/monitor"

option task = {name: "tidegate-sensors: TooHot", every: 1m}

from(bucket: "plant")
    |> range(start: -300s)
    |> filter(fn: (r) => r._measurement == "sensor")
    |> filter(fn: (r) => r._field == "temperature")
    |> min()
    |> map(fn: (r) => ({r with value: float(v: r._value)}))
    |> drop(columns: ["_value", "_field"])
    |> monitor.check(
        crit: (r) => r.value > 80.0,
        messageFn: (r) => "Device ${if exists r.device then r.device else ""} has ${string(v: r.value)} °C",
        data: {_check_id: "0b0a94442eac616f", _check_name: "tidegate-sensors: TooHot", _type: "threshold", tags: {connector: "sensors", managed_by: "tidegate", severity: "critical", team: "plant"}},
    )
