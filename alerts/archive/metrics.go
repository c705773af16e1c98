package archive

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// lagLimit bounds asking the brokers how far they are, for one scrape.
const lagLimit = 3 * time.Second

// newMetrics is a registry with what every program of ours shows of itself.
func newMetrics() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

// serverMetrics counts a server's requests.
type serverMetrics struct {
	handler  http.Handler
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
}

func newServerMetrics() serverMetrics {
	r := newMetrics()
	m := serverMetrics{
		handler: promhttp.HandlerFor(r, promhttp.HandlerOpts{}),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "alertdb_server_requests_total", Help: "Requests answered, by what was asked for and HTTP status.",
		}, []string{"route", "code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "alertdb_server_request_duration_seconds", Help: "Time from a request to the last byte of its answer, by what was asked for.",
			// From half a millisecond, which the store itself takes, to where clients give up.
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"route"}),
	}
	r.MustRegister(m.requests, m.seconds)
	return m
}

// observed counts the requests that a handler answers. Paths hold ids, so that the
// route, not the path, is the label.
func (m serverMetrics) observed(route string, next http.HandlerFunc) http.HandlerFunc {
	// Series are there from the start, so that a first request shows as a change.
	m.requests.WithLabelValues(route, "200")
	m.seconds.WithLabelValues(route)
	return func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		s := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		// Deferred, as a handler breaks a connection off by a panic.
		defer func() {
			m.requests.WithLabelValues(route, strconv.Itoa(s.status)).Inc()
			m.seconds.WithLabelValues(route).Observe(time.Since(began).Seconds())
		}()
		next(s, r)
	}
}

// statusWriter remembers the status of an answer.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (s *statusWriter) WriteHeader(status int) {
	s.status = status
	s.ResponseWriter.WriteHeader(status)
}

// ReadFrom keeps the copying of an object as cheap as it is without counting.
func (s *statusWriter) ReadFrom(r io.Reader) (int64, error) { return io.Copy(s.ResponseWriter, r) }

// Unwrap lets the standard library reach the connection under it.
func (s *statusWriter) Unwrap() http.ResponseWriter { return s.ResponseWriter }

// Handler is an ingester's HTTP interface, for probes and Prometheus:
//
//	GET /v1/health   200 OK while the process lives
//	GET /v1/ready    200 OK while it is a member of its group and waits for nothing, else 503 with the last trouble
//	GET /metrics     Prometheus' text format
func (in *Ingester) Handler() http.Handler {
	metrics := newMetrics()
	metrics.MustRegister(newCollector(in))
	mux := http.NewServeMux()
	mux.HandleFunc("/v1/health", readOnly(ok))
	mux.HandleFunc("/v1/ready", readOnly(func(w http.ResponseWriter, r *http.Request) {
		st := in.Stats()
		if st.Ready {
			ok(w, r)
			return
		}
		reason := "no member of its group yet"
		if st.LastError != nil {
			reason = st.LastError.Error()
		}
		fail(w, http.StatusServiceUnavailable, reason)
	}))
	mux.HandleFunc("/metrics", readOnly(promhttp.HandlerFor(metrics, promhttp.HandlerOpts{}).ServeHTTP))
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fail(w, http.StatusNotFound, "Not Found") })
	return mux
}

// collector shows an ingester's Stats, taken when it is asked, to Prometheus.
type collector struct {
	in *Ingester

	alerts, wire, object, deadLetters, retries, commits,
	waiting, inFlight, ready, last, committed, lag *prometheus.Desc
}

func ingesterMetric(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("alertdb_ingester_"+name, help, labels, nil)
}

// newCollector names what an ingester shows.
func newCollector(in *Ingester) *collector {
	return &collector{
		in:          in,
		alerts:      ingesterMetric("alerts_total", "Alerts stored. One that is stored again after a rebalance counts again."),
		wire:        ingesterMetric("wire_bytes_total", "Bytes of the Kafka values of stored alerts."),
		object:      ingesterMetric("object_bytes_total", "Bytes put into the store for them, after gzip."),
		deadLetters: ingesterMetric("dead_letters_total", "Messages set aside because they could not be read as alerts."),
		retries:     ingesterMetric("retries_total", "Attempts that failed and were made again, by what was tried.", "operation"),
		commits:     ingesterMetric("commits_total", "Commits of offsets that the group took."),
		waiting:     ingesterMetric("waiting", "Operations that are between two attempts now."),
		inFlight:    ingesterMetric("in_flight_bytes", "Bytes that are read and not yet stored."),
		ready:       ingesterMetric("ready", "1 while it is a member of its group and waits for nothing."),
		last:        ingesterMetric("last_stored_timestamp_seconds", "When the last alert was stored; 0 for none yet."),
		committed:   ingesterMetric("committed_offset", "Everything before this offset is stored.", "topic", "partition"),
		lag:         ingesterMetric("lag", "Messages behind the committed offset, of its own partitions; missing while no broker says.", "topic", "partition"),
	}
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.alerts, c.wire, c.object, c.deadLetters, c.retries, c.commits, c.waiting,
		c.inFlight, c.ready, c.last, c.committed, c.lag} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(to chan<- prometheus.Metric) {
	st := c.in.Stats()
	send := func(d *prometheus.Desc, kind prometheus.ValueType, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, kind, value, labels...)
	}
	counter, gauge := prometheus.CounterValue, prometheus.GaugeValue
	send(c.alerts, counter, float64(st.Stored))
	send(c.wire, counter, float64(st.WireBytes))
	send(c.object, counter, float64(st.ObjectBytes))
	send(c.deadLetters, counter, float64(st.DeadLetters))
	for operation, n := range st.Retries {
		send(c.retries, counter, float64(n), operation)
	}
	send(c.commits, counter, float64(st.Commits))
	send(c.waiting, gauge, float64(st.Waiting))
	send(c.inFlight, gauge, float64(st.InFlightBytes))
	ready := 0.0
	if st.Ready {
		ready = 1
	}
	send(c.ready, gauge, ready)
	last := 0.0
	if !st.LastStored.IsZero() {
		last = float64(st.LastStored.UnixMilli()) / 1000
	}
	send(c.last, gauge, last)
	for topic, partitions := range st.Committed {
		for partition, offset := range partitions {
			send(c.committed, gauge, float64(offset), topic, strconv.Itoa(int(partition)))
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), lagLimit)
	defer cancel()
	lag, err := c.in.Lag(ctx)
	if err != nil {
		return // the brokers are away, which ready and the log say
	}
	for topic, partitions := range lag {
		for partition, n := range partitions {
			send(c.lag, gauge, float64(n), topic, strconv.Itoa(int(partition)))
		}
	}
}
