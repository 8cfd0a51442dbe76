// Publishing: what is answered, what is refused, and a server that does not answer.
package main

import (
	"sync"
	"time"

	"github.com/nats-io/stan.go"
)

var publishing = map[string]scenario{
	"publish":             publish,
	"names":               names,
	"many channels":       manyChannels,
	"publishes in flight": publishesInFlight,
	"publishes unheard":   publishesUnheard,
	"closed below":        closedBelow,
}

// tally counts what handlers of publishes are told.
type tally struct {
	mutex  sync.Mutex
	counts map[string]int
	errors map[string]int
	left   int
	done   chan error
}

func newTally(expected int) *tally {
	return &tally{counts: map[string]int{}, errors: map[string]int{}, left: expected, done: make(chan error, 1)}
}

func (t *tally) handle(guid string, err error) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.counts[guid]++
	t.errors[text(err)]++
	t.left--
	if t.left == 0 {
		t.done <- nil
	}
}

// once tells how many were told of exactly once, and what.
func (t *tally) once(p *peer) {
	within("an answer", t.done)
	time.Sleep(quiet)
	t.mutex.Lock()
	defer t.mutex.Unlock()
	once := 0
	for _, count := range t.counts {
		if count == 1 {
			once++
		}
	}
	p.say("%d once each: %v", once, t.errors)
}

func publish(p *peer) {
	const count = 10_000
	conn := p.connect("me")
	defer conn.Close()
	p.say("%s", text(conn.Publish("foo", []byte("hello"))))
	answers := newTally(count)
	guids := map[string]bool{}
	for number := 0; number < count; number++ {
		guid, err := conn.PublishAsync("foo", []byte("hello"), answers.handle)
		must(err)
		guids[guid] = true
	}
	answers.once(p)
	same := 0
	for guid := range answers.counts {
		if guids[guid] {
			same++
		}
	}
	p.say("%d are those that were published", same)
}

// A name with an empty token reaches nobody who could answer.
func names(p *peer) {
	conn := p.connect("me")
	defer conn.Close()
	impatient := p.connect("other", stan.PubAckWait(100*time.Millisecond))
	defer impatient.Close()
	refused := func(publisher stan.Conn, name string) {
		_, subscribed := conn.Subscribe(name, func(*stan.Msg) {})
		_, queued := conn.QueueSubscribe(name, "group", func(*stan.Msg) {})
		p.say("%q: %s; %s; %s", name, text(subscribed), text(queued), text(publisher.Publish(name, nil)))
	}
	for _, name := range []string{"foo.*", "foo.>", "*", ">"} {
		refused(conn, name)
	}
	for _, name := range []string{"foo..bar", ".foo", "foo.", ""} {
		refused(impatient, name)
	}
	p.say("then: %s", text(conn.Publish("foo.bar", nil)))
}

func manyChannels(p *peer) {
	conn := p.connect("me")
	defer conn.Close()
	answers := newTally(3)
	for _, name := range []string{"one", "two", "three"} {
		_, err := conn.PublishAsync(name, nil, answers.handle)
		must(err)
	}
	answers.once(p)
	p.say("%s", text(conn.Publish("four", nil)))
	_, err := conn.Subscribe("five", func(*stan.Msg) {})
	p.say("%s", text(err))
	_, err = conn.Subscribe("two", func(*stan.Msg) {})
	p.say("one that is there: %s, %s", text(err), text(conn.Publish("one", nil)))
}

func publishesInFlight(p *peer) {
	conn := p.connect("me", stan.MaxPubAcksInflight(1), stan.PubAckWait(time.Second))
	defer conn.Close()
	p.ask("freeze")
	answers := newTally(2)
	began := time.Now()
	for count := 0; count < 2; count++ {
		_, err := conn.PublishAsync("foo", nil, answers.handle)
		must(err)
	}
	p.say("the second had to wait: %t", time.Since(began) >= time.Second)
	p.ask("thaw")
	answers.once(p)
	p.say("%s", text(conn.Publish("foo", nil)))
}

func publishesUnheard(p *peer) {
	const count = 1_000
	conn := p.connect("me", stan.PubAckWait(50*time.Millisecond))
	defer conn.Close()
	p.ask("freeze")
	p.say("%s", text(conn.Publish("foo", nil)))
	answers := newTally(count)
	for number := 0; number < count; number++ {
		_, err := conn.PublishAsync("foo", nil, func(guid string, err error) {
			conn.NatsConn()
			answers.handle(guid, err)
		})
		must(err)
	}
	answers.once(p)
	p.ask("thaw")
}

func closedBelow(p *peer) {
	conn := p.connect("me")
	conn.NatsConn().Close()
	p.say("%s", text(conn.Publish("foo", nil)))
	_, err := conn.Subscribe("foo", func(*stan.Msg) {})
	p.say("%s", text(err))
	p.say("%s", text(conn.Close()))
}
