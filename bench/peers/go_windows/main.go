// The peer of the Windows figures in Go: a service as golang.org/x/sys/windows/svc runs one, with the standard library
// alone. A line of JSON every five seconds into the file that its argument names; STOP, PAUSE, CONTINUE and INTERROGATE are answered.
package main

import (
	"encoding/json"
	"os"
	"syscall"
	"time"
	"unsafe"
)

const (
	stopped, startPending, stopPending, running, paused = 1, 2, 3, 4, 7
	controlStop, controlPause, controlContinue          = 1, 2, 3
	acceptStop, acceptPauseContinue                     = 1, 2
	ownProcess                                          = 0x10
	notImplemented                                      = 120
)

type status struct {
	kind, state, accepted, exitCode, specific, checkpoint, waitHint uint32
}

type tableEntry struct {
	name *uint16
	proc uintptr
}

var (
	advapi   = syscall.NewLazyDLL("advapi32.dll")
	dispatch = advapi.NewProc("StartServiceCtrlDispatcherW")
	register = advapi.NewProc("RegisterServiceCtrlHandlerExW")
	set      = advapi.NewProc("SetServiceStatus")

	name     = syscall.StringToUTF16Ptr("collector")
	handle   uintptr
	requests = make(chan uint32, 16)
	started  = make(chan struct{})
	done     = make(chan struct{})
	now      uint32
)

func report(state uint32) {
	now = state
	accepted := uint32(0)
	if state == running || state == paused {
		accepted = acceptStop | acceptPauseContinue
	}
	set.Call(handle, uintptr(unsafe.Pointer(&status{kind: ownProcess, state: state, accepted: accepted, waitHint: 2000})))
}

func handler(control, eventType uint32, data, context uintptr) uintptr {
	switch control {
	case controlStop:
		report(stopPending)
		requests <- control
	case controlPause, controlContinue:
		requests <- control
	case 4:
		report(now)
	default:
		return notImplemented
	}
	return 0
}

func serviceMain(argc uint32, argv **uint16) uintptr {
	handle, _, _ = register.Call(uintptr(unsafe.Pointer(name)), syscall.NewCallback(handler), 0)
	report(startPending)
	close(started)
	<-done
	return 0
}

func logLine(file *os.File, message string, fields map[string]any) {
	line, _ := json.Marshal(map[string]any{
		"time": time.Now().UTC().Format("2006-01-02T15:04:05.000Z07:00"), "level": "info", "service": "collector",
		"pid": os.Getpid(), "message": message, "fields": fields,
	})
	file.Write(append(line, '\n'))
}

func serve() {
	<-started
	file, err := os.OpenFile(os.Args[1], os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o640)
	if err != nil {
		os.Exit(1)
	}
	ticker := time.NewTicker(5 * time.Second)
	resting := false
	report(running)
	logLine(file, "collected", map[string]any{"prices": 3})
	for {
		select {
		case <-ticker.C:
			if !resting {
				logLine(file, "collected", map[string]any{"prices": 3})
			}
		case control := <-requests:
			switch control {
			case controlStop:
				report(stopped)
				close(done)
				return
			case controlPause:
				resting = true
				report(paused)
			case controlContinue:
				resting = false
				report(running)
			}
		}
	}
}

func main() {
	go serve()
	table := [2]tableEntry{{name, syscall.NewCallback(serviceMain)}, {}}
	dispatch.Call(uintptr(unsafe.Pointer(&table[0])))
}
