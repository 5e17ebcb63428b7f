// What Telegraf's own parser makes of messages, by the configuration that `tidegate import` reads.
//
//	cd tests/samples/telegraf; FILE=../../../src/import/testdata/telegraf-json
//	GOFLAGS=-mod=mod go run ./import $FILE.conf $FILE.jsonl > $FILE.lp
package main

import (
	"bufio"
	"fmt"
	"os"

	"github.com/BurntSushi/toml"
	"github.com/influxdata/telegraf/plugins/parsers/json"
	"github.com/influxdata/telegraf/plugins/serializers/influx"
	"github.com/influxdata/telegraf/testutil"
)

func main() {
	var config struct {
		Inputs struct {
			Kafka []json.Parser `toml:"kafka_consumer"`
		} `toml:"inputs"`
	}
	if _, err := toml.DecodeFile(os.Args[1], &config); err != nil {
		panic(err)
	}
	parser := &config.Inputs.Kafka[0]
	parser.MetricName, parser.Strict, parser.Log = "kafka_consumer", true, testutil.Logger{}
	if err := parser.Init(); err != nil {
		panic(err)
	}
	lines := &influx.Serializer{SortFields: true}
	if err := lines.Init(); err != nil {
		panic(err)
	}
	file, err := os.Open(os.Args[2])
	if err != nil {
		panic(err)
	}
	for messages := bufio.NewScanner(file); messages.Scan(); {
		fmt.Println("# " + messages.Text())
		metrics, err := parser.Parse(messages.Bytes())
		if err != nil {
			fmt.Println("# " + err.Error())
		}
		for _, metric := range metrics {
			line, err := lines.Serialize(metric)
			if err != nil {
				panic(err)
			}
			fmt.Print(string(line))
		}
	}
}
