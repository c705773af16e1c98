module example.org/consumer

go 1.26.0

require github.com/alertlab/alertlab v0.0.0

replace github.com/alertlab/alertlab => ../../..
