// A program with stan.go, unmodified: each scenario does what a program of its users does, and prints what it meets with, a line
// each. What is expected of it is in ../stan-go.test.ts, which also freezes and kills the server when it is asked to.
//
//	stan-peer <url> <scenario>
package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime/debug"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/stan.go"
)

const (
	cluster = "test-cluster"
	// What has not come by then does not come.
	patience = 15 * time.Second
	// What may not come would have come by then.
	quiet = 300 * time.Millisecond
)

type scenario func(p *peer)

var scenarios = map[string]scenario{}

func register(all map[string]scenario) {
	for name, run := range all {
		scenarios[name] = run
	}
}

func main() {
	register(connecting)
	register(publishing)
	register(subscribing)
	register(acknowledging)
	register(leaving)
	register(losing)
	run, ok := scenarios[os.Args[2]]
	if !ok {
		fail("there is no scenario %q", os.Args[2])
	}
	run(&peer{url: os.Args[1], input: bufio.NewScanner(os.Stdin)})
}

type peer struct {
	url   string
	input *bufio.Scanner
}

// say prints a line. It may be called by handlers.
func (p *peer) say(format string, values ...interface{}) {
	fmt.Printf(format+"\n", values...)
}

// ask has something done to the server, and returns when it is done.
func (p *peer) ask(what string) {
	fmt.Printf("? %s\n", what)
	if !p.input.Scan() {
		fail("nobody did %q", what)
	}
}

func (p *peer) options(more []stan.Option) []stan.Option {
	return append([]stan.Option{stan.NatsURL(p.url)}, more...)
}

func (p *peer) connect(clientID string, more ...stan.Option) stan.Conn {
	conn, err := stan.Connect(cluster, clientID, p.options(more)...)
	must(err)
	return conn
}

func (p *peer) refused(clusterID, clientID string, more ...stan.Option) string {
	conn, err := stan.Connect(clusterID, clientID, p.options(more)...)
	if err == nil {
		conn.Close()
	}
	return text(err)
}

func (p *peer) nats(more ...nats.Option) *nats.Conn {
	conn, err := nats.Connect(p.url, more...)
	must(err)
	return conn
}

// fill publishes the numbers from first to last to a channel.
func fill(conn stan.Conn, channel string, first, last int) {
	for number := first; number <= last; number++ {
		must(conn.Publish(channel, []byte(fmt.Sprint(number))))
	}
}

// received is what a subscription has got, in its order.
type received struct {
	mutex    sync.Mutex
	messages []*stan.Msg
	came     chan struct{}
}

func newReceived() *received {
	return &received{came: make(chan struct{}, 1)}
}

func (r *received) take(message *stan.Msg) {
	r.mutex.Lock()
	r.messages = append(r.messages, message)
	r.mutex.Unlock()
	select {
	case r.came <- struct{}{}:
	default:
	}
}

func (r *received) all() []*stan.Msg {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	return append([]*stan.Msg(nil), r.messages...)
}

// until waits for so many.
func (r *received) until(count int) []*stan.Msg {
	end := time.After(patience)
	for len(r.all()) < count {
		select {
		case <-r.came:
		case <-end:
			fail("%d of %d messages came: %s", len(r.all()), count, told(r.all()))
		}
	}
	return r.all()
}

// settled waits for so many and a moment longer.
func (r *received) settled(count int) []*stan.Msg {
	r.until(count)
	time.Sleep(quiet)
	return r.all()
}

// told has sequences, with the count of their redeliveries if they are flagged.
func told(messages []*stan.Msg) string {
	words := make([]string, 0, len(messages))
	for _, message := range messages {
		word := fmt.Sprint(message.Sequence)
		if message.Redelivered {
			word += fmt.Sprintf("r%d", message.RedeliveryCount)
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}

// isEach tells whether each sequence of 1 to count is there once.
func isEach(messages []*stan.Msg, count int) bool {
	sequences := make([]int, 0, len(messages))
	for _, message := range messages {
		sequences = append(sequences, int(message.Sequence))
	}
	sort.Ints(sequences)
	for index, sequence := range sequences {
		if sequence != index+1 {
			return false
		}
	}
	return len(sequences) == count
}

func text(err error) string {
	if err == nil {
		return "no error"
	}
	return err.Error()
}

// within fails when nothing comes.
func within(what string, errors <-chan error) string {
	select {
	case err := <-errors:
		return text(err)
	case <-time.After(patience):
		fail("%s did not come", what)
		return ""
	}
}

func must(err error) {
	if err != nil {
		fail("%v", err)
	}
}

func fail(format string, values ...interface{}) {
	fmt.Fprintf(os.Stderr, format+"\n%s", append(values, debug.Stack())...)
	os.Exit(1)
}
