module capture

go 1.24

require github.com/influxdata/telegraf v1.36.2
