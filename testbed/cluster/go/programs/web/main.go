// web is the smallest server a pod can run. `web get URL` fetches, `web sleep` idles, `web crash` exits with 3,
// `web eat` takes memory until it is killed.
//
// A server takes what /load?cpu=PERCENT (of one CPU) or /load?memory=MIB says until it is told otherwise.
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"runtime/debug"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"
)

func main() {
	go func() {
		end := make(chan os.Signal, 1)
		signal.Notify(end, syscall.SIGTERM)
		<-end
		os.Exit(0)
	}()
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "get":
			get(os.Args[2])
			return
		case "sleep":
			time.Sleep(1 << 62)
		case "crash":
			fmt.Fprintln(os.Stderr, "crashed as it was told to")
			os.Exit(3)
		case "eat":
			eat()
		}
	}
	serve()
}

func get(url string) {
	client := http.Client{Timeout: 10 * time.Second}
	response, err := client.Get(url)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	io.Copy(os.Stdout, response.Body)
}

func eat() {
	var held [][]byte
	for {
		block := make([]byte, 1<<20)
		for i := range block {
			block[i] = 1
		}
		held = append(held, block)
		time.Sleep(time.Millisecond)
	}
}

// burn works for so many of a hundred milliseconds, over and over.
func burn(percent *atomic.Int64) {
	for {
		work := time.Duration(percent.Load()) * time.Millisecond
		for began := time.Now(); time.Since(began) < work; {
		}
		time.Sleep(100*time.Millisecond - work)
	}
}

// What /load?memory= took last.
var held []byte

// hold returns so many MiB, each page written to.
func hold(mib int64) []byte {
	held := make([]byte, mib<<20)
	for i := 0; i < len(held); i += 4096 {
		held[i] = 1
	}
	return held
}

// serve answers its host name; /healthz fails after /break.
func serve() {
	var broken atomic.Bool
	var percent atomic.Int64
	go burn(&percent)
	host, _ := os.Hostname()
	http.HandleFunc("/healthz", func(w http.ResponseWriter, r *http.Request) {
		if broken.Load() {
			w.WriteHeader(500)
		}
	})
	http.HandleFunc("/load", func(w http.ResponseWriter, r *http.Request) {
		asked := func(name string) int64 {
			amount, _ := strconv.ParseInt(r.FormValue(name), 10, 64)
			return amount
		}
		percent.Store(asked("cpu"))
		held = hold(asked("memory"))
		debug.FreeOSMemory()
	})
	http.HandleFunc("/break", func(w http.ResponseWriter, r *http.Request) { broken.Store(true) })
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, "hello from", host) })
	fmt.Println("listening on :8080")
	fmt.Println(http.ListenAndServe(":8080", nil))
}
