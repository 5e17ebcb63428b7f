// Writes the same metrics by Telegraf's own serializers, as its kafka output does: the folders' inputs.
//
//	GOFLAGS=-mod=mod go run . ../../formats
package main

import (
	"os"
	"path/filepath"
	"time"

	"github.com/influxdata/telegraf"
	"github.com/influxdata/telegraf/metric"
	"github.com/influxdata/telegraf/plugins/serializers/graphite"
	"github.com/influxdata/telegraf/plugins/serializers/influx"
	"github.com/influxdata/telegraf/plugins/serializers/json"
)

func metrics() []telegraf.Metric {
	at := time.Date(2026, 11, 26, 2, 0, 0, 123456789, time.UTC)
	cpu := metric.New("cpu", map[string]string{"host": "web 1", "cpu": "cpu-total"},
		map[string]interface{}{"usage_idle": 97.5, "usage_user": 2.0, "context_switches": int64(123456789012)}, at)
	disk := metric.New("disk", map[string]string{"path": "/var,log=1", "host": "web 1"},
		map[string]interface{}{"used": uint64(18446744073709551615), "mounted": true, "label": "say \"hi\" C:\\x"},
		at.Add(time.Second))
	return []telegraf.Metric{cpu, disk}
}

func main() {
	lines := &influx.Serializer{UintSupport: true}
	numbers := &graphite.Serializer{Prefix: "plant", TagSupport: true}
	several := &json.Serializer{TimestampUnits: 0}
	for name, s := range map[string]telegraf.Serializer{
		"line_protocol_telegraf/input.lp": lines,
		"graphite_telegraf/input.txt":     numbers,
		"telegraf_json_batch/input.json":  several,
	} {
		if i, ok := s.(interface{ Init() error }); ok {
			if err := i.Init(); err != nil {
				panic(err)
			}
		}
		body, err := s.SerializeBatch(metrics())
		if err != nil {
			panic(err)
		}
		file := filepath.Join(os.Args[1], name)
		os.MkdirAll(filepath.Dir(file), 0o755)
		if err := os.WriteFile(file, body, 0o644); err != nil {
			panic(err)
		}
	}
}
