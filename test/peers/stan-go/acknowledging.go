// Acks: by hand, too late, and what a durable had not acked when it left.
package main

import (
	"sort"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/stan.go"
)

var acknowledging = map[string]scenario{
	"manual acks":  manualAcks,
	"redelivery":   redelivery,
	"durable":      durable,
	"over a crash": overACrash,
}

func ack(messages []*stan.Msg) {
	for _, message := range messages {
		must(message.Ack())
	}
}

func manualAcks(p *peer) {
	conn := p.connect("me")
	defer conn.Close()
	fill(conn, "foo", 1, 30)
	got := newReceived()
	sub, err := conn.Subscribe("foo", got.take, stan.DeliverAllAvailable(), stan.SetManualAckMode(), stan.MaxInflight(10))
	must(err)
	p.say("%s", told(got.settled(10)))
	ack(got.all()[:4])
	p.say("%s", told(got.settled(14)[10:]))
	ack(got.all()[4:])
	p.say("%s", told(got.settled(24)[14:]))
	ack(got.all()[14:])
	p.say("%s", told(got.settled(30)[24:]))
	must(sub.Unsubscribe())
	p.say("%s", text(got.all()[29].Ack()))
	automatic := newReceived()
	_, err = conn.Subscribe("foo", automatic.take, stan.StartWithLastReceived())
	must(err)
	p.say("%s", text(automatic.until(1)[0].Ack()))
}

func redelivery(p *peer) {
	conn := p.connect("me")
	defer conn.Close()
	fill(conn, "foo", 1, 5)
	got := newReceived()
	began := time.Now()
	_, err := conn.Subscribe("foo", got.take, stan.DeliverAllAvailable(), stan.SetManualAckMode(), stan.MaxInflight(3), stan.AckWait(time.Second))
	must(err)
	p.say("%s", told(got.until(3)[:3]))
	p.say("%s", told(got.until(6)[3:6]))
	p.say("after the ack wait: %t", time.Since(began) > time.Second)
	p.say("%s", told(got.until(9)[6:9]))
	ack(got.all())
	p.say("%s", told(got.until(11)[9:11]))
	ack(got.all()[9:])
	time.Sleep(1500 * time.Millisecond)
	p.say("%d in all", len(got.all()))
}

func durable(p *peer) {
	conn := p.connect("me")
	subscribe := func(got *received) (stan.Subscription, error) {
		return conn.Subscribe("foo", got.take, stan.DurableName("dur"), stan.DeliverAllAvailable(), stan.SetManualAckMode())
	}
	fill(conn, "foo", 1, 10)
	before := newReceived()
	_, err := subscribe(before)
	must(err)
	p.say("%s", told(before.until(10)))
	ack(before.all()[:5])
	must(before.all()[7].Ack())
	_, err = subscribe(newReceived())
	p.say("%s", text(err))
	must(conn.Close())
	conn = p.connect("me")
	fill(conn, "foo", 11, 12)
	after := newReceived()
	sub, err := subscribe(after)
	must(err)
	p.say("%s", told(after.settled(6)))
	ack(after.all())
	must(sub.Close())
	fill(conn, "foo", 13, 13)
	last := newReceived()
	sub, err = subscribe(last)
	must(err)
	p.say("%s", told(last.settled(1)))
	must(sub.Unsubscribe())
	anew := newReceived()
	_, err = subscribe(anew)
	must(err)
	p.say("%s", told(anew.settled(13)))
	must(conn.Close())
}

// A program with a durable, over kills of a server that keeps what it has.
func overACrash(p *peer) {
	lost, reconnected := make(chan error, 1), make(chan error, 1)
	conn := p.connect("me", stan.Pings(1, 30), lostTo(lost), stan.NatsOptions(
		nats.ReconnectWait(50*time.Millisecond), nats.MaxReconnects(-1),
		nats.ReconnectHandler(func(*nats.Conn) { reconnected <- nil })))
	got := newReceived()
	sub, err := conn.Subscribe("foo", got.take, stan.DurableName("dur"), stan.SetManualAckMode(), stan.DeliverAllAvailable(),
		stan.AckWait(3*time.Second))
	must(err)
	fill(conn, "foo", 1, 3)
	must(got.until(3)[0].Ack())
	must(conn.Publish("bar", nil))
	// What was sent is known to have been sent.
	time.Sleep(300 * time.Millisecond)
	p.ask("kill")
	p.ask("start")
	within("the server", reconnected)
	p.say("%s", text(conn.Publish("foo", nil)))
	// What is new does not wait for the ack waits of the others.
	after := got.settled(6)[3:]
	sort.Slice(after, func(one, other int) bool { return after[one].Sequence < after[other].Sequence })
	p.say("%s", told(after))
	ack(after)
	// Long enough for a ping.
	time.Sleep(1200 * time.Millisecond)
	p.say("%s; %s", text(sub.Unsubscribe()), text(conn.Close()))
	select {
	case err := <-lost:
		p.say("told of %v", err)
	default:
		p.say("told of nothing")
	}
}
