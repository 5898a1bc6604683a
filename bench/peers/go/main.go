// The peer in Go: what bench/peers/with_stayon.py does, with the standard library alone.
//
// It leaves out what stayon's host does besides: a watchdog, a status page, a control socket, one instance at a time.
// BENCH_PORT, BENCH_CONFIG (a JSON file: the library has no TOML), BENCH_WATCH ("inotify" or "poll", each second) and
// BENCH_STUCK say how to run. A line on stdout says which configuration holds now.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

type settings struct {
	Prices int `json:"prices"`
}

var (
	config  atomic.Pointer[settings]
	ready   atomic.Bool
	runs    atomic.Int64
	reloads atomic.Int64
	output  sync.Mutex
)

func logLine(level, message string, fields map[string]any) {
	line, _ := json.Marshal(map[string]any{
		"time": time.Now().UTC().Format("2006-01-02T15:04:05.000Z07:00"), "level": level, "service": "collector",
		"pid": os.Getpid(), "message": message, "fields": fields,
	})
	output.Lock()
	defer output.Unlock()
	os.Stderr.Write(append(line, '\n'))
}

func load(path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	read := &settings{}
	if err := json.Unmarshal(data, read); err != nil {
		return err
	}
	before := config.Swap(read)
	if before != nil && *before != *read {
		reloads.Add(1)
		fmt.Println(read.Prices)
	}
	return nil
}

func reload(path string) {
	if err := load(path); err != nil {
		logLine("error", "configuration not applied", map[string]any{"error": err.Error()})
	}
}

// poll looks at the file once a second.
func poll(path string) {
	var seen time.Time
	for range time.Tick(time.Second) {
		status, err := os.Stat(path)
		if err == nil && !status.ModTime().Equal(seen) {
			seen = status.ModTime()
			reload(path)
		}
	}
}

// watch is told by the kernel, and reloads at each event without waiting for the writer to be done.
func watch(path string) error {
	fd, err := syscall.InotifyInit1(syscall.IN_CLOEXEC)
	if err != nil {
		return err
	}
	events := uint32(syscall.IN_CLOSE_WRITE | syscall.IN_MOVED_TO | syscall.IN_CREATE)
	if _, err := syscall.InotifyAddWatch(fd, filepath.Dir(path), events); err != nil {
		return err
	}
	buffer := make([]byte, 4096)
	for {
		if _, err := syscall.Read(fd, buffer); err != nil && err != syscall.EINTR {
			return err
		}
		reload(path)
	}
}

func getStuck(way string) {
	switch way {
	case "lock":
		var lock sync.Mutex
		lock.Lock()
		lock.Lock()
	case "system call":
		var ends [2]int
		syscall.Pipe(ends[:])
		syscall.Read(ends[0], make([]byte, 1))
	case "loop":
		for {
		}
	}
}

func answer(writer http.ResponseWriter, well bool) {
	if !well {
		writer.WriteHeader(http.StatusServiceUnavailable)
	}
	fmt.Fprintln(writer, "ok")
}

func metrics(writer http.ResponseWriter, _ *http.Request) {
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	fmt.Fprintf(writer, "# TYPE collector_runs_total counter\ncollector_runs_total %d\n", runs.Load())
	fmt.Fprintf(writer, "# TYPE collector_reloads_total counter\ncollector_reloads_total %d\n", reloads.Load())
	fmt.Fprintf(writer, "# TYPE collector_heap_bytes gauge\ncollector_heap_bytes %d\n", memory.HeapAlloc)
}

func main() {
	path := os.Getenv("BENCH_CONFIG")
	if err := load(path); err != nil {
		logLine("error", "bad configuration", map[string]any{"error": err.Error()})
		os.Exit(78)
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)

	mux := http.NewServeMux()
	mux.HandleFunc("/livez", func(writer http.ResponseWriter, _ *http.Request) { answer(writer, true) })
	mux.HandleFunc("/startupz", func(writer http.ResponseWriter, _ *http.Request) { answer(writer, true) })
	mux.HandleFunc("/readyz", func(writer http.ResponseWriter, _ *http.Request) { answer(writer, ready.Load()) })
	mux.HandleFunc("/metrics", metrics)
	listener, err := net.Listen("tcp", "127.0.0.1:"+os.Getenv("BENCH_PORT"))
	if err != nil {
		logLine("error", "cannot listen", map[string]any{"error": err.Error()})
		os.Exit(69)
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go server.Serve(listener)

	if os.Getenv("BENCH_WATCH") == "poll" {
		go poll(path)
	} else {
		go watch(path)
	}
	if way := os.Getenv("BENCH_STUCK"); way != "" {
		go getStuck(way)
	}
	ready.Store(true)
	logLine("info", "running", nil)

	ticker := time.NewTicker(5 * time.Second)
	collect := func() {
		runs.Add(1)
		logLine("info", "collected", map[string]any{"prices": config.Load().Prices})
	}
	collect()
	for {
		select {
		case <-ticker.C:
			collect()
		case <-stop:
			limit, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			defer cancel()
			server.Shutdown(limit)
			logLine("info", "stopped", nil)
			return
		}
	}
}
