module capture

go 1.24

require (
	github.com/BurntSushi/toml v1.5.0
	github.com/influxdata/telegraf v1.36.2
)
