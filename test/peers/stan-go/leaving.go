// Leaving: once, twice, with errors, and in the midst of something else.
package main

import (
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/stan.go"
)

var leaving = map[string]scenario{
	"unsubscribe":       unsubscribe,
	"close":             closeTwice,
	"requests unheard":  requestsUnheard,
	"subscribe unheard": subscribeUnheard,
	"requests unsent":   requestsUnsent,
	"races":             races,
}

func unsubscribe(p *peer) {
	conn := p.connect("me")
	defer conn.Close()
	before, ended, closed, after := newReceived(), newReceived(), newReceived(), newReceived()
	var subs []stan.Subscription
	for _, got := range []*received{before, ended, closed, after} {
		sub, err := conn.Subscribe("foo", got.take)
		must(err)
		subs = append(subs, sub)
	}
	p.say("%s; %s", text(subs[1].Unsubscribe()), text(subs[1].Unsubscribe()))
	p.say("%s; %s", text(subs[2].Close()), text(subs[2].Close()))
	p.say("%s; %s", text(subs[1].Close()), text(subs[2].Unsubscribe()))
	fill(conn, "foo", 1, 5)
	p.say("%s; %s", told(before.settled(5)), told(after.settled(5)))
	p.say("%d; %d", len(ended.all()), len(closed.all()))
}

func closeTwice(p *peer) {
	conn := p.connect("me")
	got := newReceived()
	sub, err := conn.Subscribe("foo", got.take)
	must(err)
	p.say("%s; %s", text(conn.Close()), text(conn.Close()))
	p.say("%s", text(conn.Publish("foo", nil)))
	_, err = conn.PublishAsync("foo", nil, nil)
	p.say("%s", text(err))
	_, err = conn.Subscribe("foo", got.take)
	p.say("%s", text(err))
	p.say("%s", text(sub.Unsubscribe()))
	again := p.connect("me")
	p.say("%s", text(again.Publish("foo", nil)))
	must(again.Close())
	p.say("%d messages", len(got.all()))
}

// The server does it all the same, later.
func requestsUnheard(p *peer) {
	conn := p.connect("me", stan.ConnectWait(time.Second), stan.AllowCloseRetry(true))
	ended, err := conn.Subscribe("foo", func(*stan.Msg) {})
	must(err)
	closed, err := conn.Subscribe("foo", func(*stan.Msg) {})
	must(err)
	p.ask("freeze")
	p.say("%s", text(ended.Unsubscribe()))
	p.say("%s", text(closed.Close()))
	p.ask("thaw")
	p.say("%s", text(ended.Unsubscribe()))
	p.say("%s", text(closed.Close()))
	p.ask("freeze")
	p.say("%s", text(conn.Close()))
	p.ask("thaw")
	p.say("%s; %s", text(conn.Close()), text(conn.Close()))
}

// There may be one subscription: the one that was made too late has to be gone.
func subscribeUnheard(p *peer) {
	conn := p.connect("me", stan.ConnectWait(time.Second))
	defer conn.Close()
	p.ask("freeze")
	_, err := conn.Subscribe("foo", func(*stan.Msg) {})
	p.say("%s", text(err))
	p.ask("thaw")
	got := newReceived()
	_, err = conn.Subscribe("foo", got.take)
	p.say("%s", text(err))
	_, err = conn.Subscribe("foo", got.take)
	p.say("%s", text(err))
	must(conn.Publish("foo", nil))
	p.say("%s", told(got.settled(1)))
}

// Without a place for what cannot be sent, requests fail while the server is away; they may be made again.
func requestsUnsent(p *peer) {
	reconnected := make(chan error, 1)
	conn := p.connect("me", stan.AllowCloseRetry(true), stan.NatsOptions(
		nats.ReconnectBufSize(-1), nats.ReconnectWait(50*time.Millisecond), nats.MaxReconnects(-1),
		nats.ReconnectHandler(func(*nats.Conn) { reconnected <- nil })))
	sub, err := conn.Subscribe("foo", func(*stan.Msg) {})
	must(err)
	p.ask("kill")
	for conn.NatsConn().IsConnected() {
		time.Sleep(10 * time.Millisecond)
	}
	p.say("%s", text(sub.Close()))
	p.ask("start")
	within("the server", reconnected)
	p.say("%s; %s", text(sub.Close()), text(sub.Close()))
	p.ask("kill")
	for conn.NatsConn().IsConnected() {
		time.Sleep(10 * time.Millisecond)
	}
	p.say("%s", text(conn.Close()))
	p.ask("start")
	within("the server", reconnected)
	p.say("%s; %s", text(conn.Close()), text(conn.Close()))
	again := p.connect("me")
	p.say("%s", text(again.Close()))
}

// Whatever it is in the midst of, a client that closed has left: its name is free at once.
func races(p *peer) {
	const rounds = 20
	for round := 0; round < rounds; round++ {
		conn := p.connect("me")
		var wait sync.WaitGroup
		begin := func(do func()) {
			wait.Add(1)
			go func() {
				defer wait.Done()
				do()
			}()
		}
		fill(conn, "foo", 1, 5)
		sub, err := conn.Subscribe("foo", func(*stan.Msg) {})
		must(err)
		_, err = conn.Subscribe("foo", func(message *stan.Msg) { message.Ack() }, stan.SetManualAckMode(), stan.DeliverAllAvailable())
		must(err)
		begin(func() {
			for err := error(nil); err == nil; {
				_, err = conn.Subscribe("foo", func(*stan.Msg) {})
			}
		})
		begin(func() {
			for err := error(nil); err == nil; {
				err = conn.Publish("bar", nil)
			}
		})
		begin(func() { sub.Unsubscribe() })
		time.Sleep(time.Duration(round) * time.Millisecond)
		must(conn.Close())
		wait.Wait()
	}
	p.say("%d rounds", rounds)
}
