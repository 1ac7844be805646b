// villain in Go: a runtime that starts threads when it is loaded, panics, and real work.
package main

// #include "capelet.h"
import "C"

import (
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"time"
	"unsafe"
)

var folder string

//export villainStart
func villainStart(data unsafe.Pointer, size C.size_t) {
	folder = string(C.GoBytes(data, C.int(size)))
}

func text(bytes C.capelet_bytes) string {
	return string(C.GoBytes(bytes.data, C.int(bytes.size)))
}

func note(file string, line string) {
	target, err := os.OpenFile(folder+"/"+file, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0600)
	if err != nil {
		return
	}
	defer target.Close()
	target.WriteString(line)
}

func record(mark string, event *C.capelet_event) {
	note("record", fmt.Sprintf("%s %s %d %d %d %d 1\n", mark, text(event.subject), uint64(event.sequence), uint32(event.attempt),
		os.Getpid(), uint32(event.flags)))
}

// Memory, goroutines, a channel and a timer: what hangs in a copy of a process whose threads are gone.
func work() int {
	results := make(chan int)
	for i := 0; i < 8; i++ {
		go func(number int) {
			block := make([]byte, 1<<16)
			block[number] = 1
			time.Sleep(time.Millisecond)
			results <- len(block)
		}(i)
	}
	sum := 0
	for i := 0; i < 8; i++ {
		sum += <-results
	}
	return sum
}

//export villainHandle
func villainHandle(event *C.capelet_event) C.int32_t {
	word := strings.Trim(text(event.payload), "\"")
	record("B", event)
	switch word {
	case "panic":
		panic("nobody recovers from this")
	case "null":
		var nothing *int
		*nothing = 1
	case "exit":
		os.Exit(0)
	case "overflow":
		// As much as other languages have, instead of a gigabyte.
		debug.SetMaxStack(8 << 20)
		var recurse func(int) int
		recurse = func(depth int) int { return recurse(depth+1) + depth }
		recurse(0)
	case "spin":
		for {
		}
	case "sleep":
		select {}
	case "work":
		note("answers", fmt.Sprintf("work=%d\n", work()))
	}
	record("E", event)
	return C.CAPELET_SUCCESS
}

func main() {}
