// Losing a server: what a program is told, and when it is told nothing.
package main

import (
	"errors"
	"net"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/stan.go"
)

var losing = map[string]scenario{
	"pings unanswered": pingsUnanswered,
	"forgotten":        forgotten,
	"replaced":         replaced,
	"normal ends":      normalEnds,
}

func lostTo(errors chan error) stan.Option {
	return stan.SetConnectionLostHandler(func(_ stan.Conn, err error) { errors <- err })
}

func soonAgain() stan.Option {
	return stan.NatsOptions(nats.ReconnectWait(50*time.Millisecond), nats.MaxReconnects(-1))
}

// Those who publish are blocked, all but one: they hear of it, too.
func pingsUnanswered(p *peer) {
	const count = 20
	nc := p.nats()
	defer nc.Close()
	pings, err := nc.SubscribeSync("_STAN.discover." + cluster + ".pings")
	must(err)
	must(nc.Flush())
	lost := make(chan error, 1)
	conn := p.connect("me", stan.Pings(1, 3), stan.MaxPubAcksInflight(1), lostTo(lost))
	_, err = pings.NextMsg(patience)
	p.say("a ping: %s", text(err))
	p.say("%s", text(conn.Publish("foo", nil)))
	p.ask("freeze")
	began := time.Now()
	done := make(chan error, count)
	for number := 0; number < count; number++ {
		go func() { done <- conn.Publish("foo", nil) }()
	}
	p.say("%s", within("the handler", lost))
	p.say("after three pings: %t", time.Since(began) > 2*time.Second)
	said := map[string]int{}
	for number := 0; number < count; number++ {
		said[within("the end of a publish", done)]++
	}
	p.say("%v", said)
	p.say("none: %t", conn.NatsConn() == nil)
	p.say("%s", text(conn.Publish("foo", nil)))
	p.ask("thaw")
}

// The server comes back and knows nobody.
func forgotten(p *peer) {
	lost := make(chan error, 1)
	conn := p.connect("me", stan.Pings(1, 30), lostTo(lost), soonAgain())
	must(conn.Publish("foo", nil))
	p.ask("kill")
	p.ask("start")
	p.say("%s", within("the handler", lost))
	p.say("%s", text(conn.Publish("foo", nil)))
	again := p.connect("me")
	p.say("%s", text(again.Publish("foo", nil)))
	must(again.Close())
}

// gate lets a client out only while it is open.
type gate struct {
	mutex   sync.Mutex
	isShut  bool
	current net.Conn
}

func (g *gate) Dial(network, address string) (net.Conn, error) {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	if g.isShut {
		return nil, errors.New("the gate is shut")
	}
	conn, err := net.Dial(network, address)
	g.current = conn
	return conn, err
}

func (g *gate) shut() {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	g.isShut = true
	g.current.Close()
}

func (g *gate) open() {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	g.isShut = false
}

func replaced(p *peer) {
	way, reconnected, lost := &gate{}, make(chan error, 1), make(chan error, 1)
	nc := p.nats(nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond), nats.SetCustomDialer(way),
		nats.ReconnectHandler(func(*nats.Conn) { reconnected <- nil }))
	defer nc.Close()
	first := p.connect("me", stan.NatsConn(nc), stan.Pings(1, 30), lostTo(lost))
	p.say("%s", text(first.Publish("foo", nil)))
	way.shut()
	second := p.connect("me")
	p.say("%s", text(second.Publish("foo", nil)))
	way.open()
	within("the first one's way", reconnected)
	p.say("%s", text(first.Publish("foo", nil)))
	p.say("%s", within("the handler", lost))
	p.say("%s", text(second.Publish("foo", nil)))
	must(second.Close())
}

func normalEnds(p *peer) {
	lost := make(chan error, 1)
	conn := p.connect("me", stan.Pings(1, 3), lostTo(lost))
	must(conn.Close())
	select {
	case err := <-lost:
		p.say("told of %v", err)
	case <-time.After(1500 * time.Millisecond):
		p.say("told of nothing")
	}
	conn = p.connect("me", stan.Pings(1, 30), lostTo(lost))
	conn.NatsConn().Close()
	p.say("%s", within("the handler", lost))
}
