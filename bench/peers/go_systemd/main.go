// The peer of the systemd figures in Go, standard library alone: a job every five seconds, a line of JSON on stderr, which
// is the journal, sd_notify, the watchdog fed, a clean stop at SIGTERM.
package main

import (
	"encoding/json"
	"net"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

func notify(state string) {
	socket, err := net.Dial("unixgram", os.Getenv("NOTIFY_SOCKET"))
	if err != nil {
		return
	}
	defer socket.Close()
	socket.Write([]byte(state))
}

func logLine(message string, fields map[string]any) {
	line, _ := json.Marshal(map[string]any{
		"time": time.Now().UTC().Format("2006-01-02T15:04:05.000Z07:00"), "level": "info", "service": "collector",
		"pid": os.Getpid(), "message": message, "fields": fields,
	})
	os.Stderr.Write(append(line, '\n'))
}

func main() {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	job := time.NewTicker(5 * time.Second)
	feed := time.NewTicker(watchdog() / 3)
	notify("READY=1")
	logLine("collected", map[string]any{"prices": 3})
	for {
		select {
		case <-job.C:
			logLine("collected", map[string]any{"prices": 3})
		case <-feed.C:
			notify("WATCHDOG=1")
		case <-stop:
			notify("STOPPING=1")
			logLine("stopped", nil)
			return
		}
	}
}

func watchdog() time.Duration {
	microseconds, err := strconv.ParseInt(os.Getenv("WATCHDOG_USEC"), 10, 64)
	if err != nil {
		return 24 * time.Hour
	}
	return time.Duration(microseconds) * time.Microsecond
}
