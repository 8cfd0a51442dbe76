// Subscribing: what a subscription gets, from where on, and with whom it shares it.
package main

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/nats-io/stan.go"
	"github.com/nats-io/stan.go/pb"
)

var subscribing = map[string]scenario{
	"publish and subscribe": publishAndSubscribe,
	"start positions":       startPositions,
	"queue":                 queue,
	"durable queue":         durableQueue,
	"start under load":      startUnderLoad,
	"counters":              counters,
}

func publishAndSubscribe(p *peer) {
	const count = 500
	conn := p.connect("me")
	defer conn.Close()
	got := newReceived()
	began := time.Now()
	_, err := conn.Subscribe("foo", got.take)
	must(err)
	fill(conn, "foo", 1, count)
	inOrder, dataRight, timeRight := 0, 0, 0
	messages := got.settled(count)
	for index, message := range messages {
		if int(message.Sequence) == index+1 && message.Subject == "foo" && !message.Redelivered {
			inOrder++
		}
		if string(message.Data) == fmt.Sprint(index+1) {
			dataRight++
		}
		// Times are those of the clock in milliseconds.
		if at := time.Unix(0, message.Timestamp); at.After(began.Add(-time.Second)) && at.Before(time.Now().Add(time.Second)) {
			timeRight++
		}
	}
	p.say("%d of %d in order, %d with their data, %d with a time", inOrder, len(messages), dataRight, timeRight)
}

func startPositions(p *peer) {
	conn := p.connect("me")
	defer conn.Close()
	fill(conn, "foo", 1, 5)
	time.Sleep(100 * time.Millisecond)
	between := time.Now()
	time.Sleep(100 * time.Millisecond)
	fill(conn, "foo", 6, 10)
	options := []struct {
		name   string
		option stan.SubscriptionOption
	}{
		{"first", stan.DeliverAllAvailable()},
		{"StartPosition_First", stan.StartAt(pb.StartPosition_First)},
		{"last", stan.StartWithLastReceived()},
		{"StartPosition_LastReceived", stan.StartAt(pb.StartPosition_LastReceived)},
		{"sequence 6", stan.StartAtSequence(6)},
		{"sequence 1000", stan.StartAtSequence(1000)},
		{"time", stan.StartAtTime(between)},
		{"time of before all", stan.StartAtTime(between.Add(-time.Hour))},
		{"time to come", stan.StartAtTime(time.Now().Add(time.Hour))},
		{"time delta", stan.StartAtTimeDelta(time.Since(between))},
		{"nothing said", stan.MaxInflight(1000)},
		{"StartPosition_NewOnly", stan.StartAt(pb.StartPosition_NewOnly)},
	}
	gots := make([]*received, len(options))
	for index, each := range options {
		gots[index] = newReceived()
		_, err := conn.Subscribe("foo", gots[index].take, each.option)
		must(err)
	}
	fill(conn, "foo", 11, 12)
	for _, got := range gots {
		for got.until(1); int(got.all()[len(got.all())-1].Sequence) < 12; {
			got.until(len(got.all()) + 1)
		}
	}
	time.Sleep(quiet)
	for index, each := range options {
		p.say("%s: %s", each.name, told(gots[index].all()))
	}
}

func queue(p *peer) {
	const count = 200
	conn := p.connect("me")
	defer conn.Close()
	other := p.connect("other")
	defer other.Close()
	both, first, second, alone := newReceived(), newReceived(), newReceived(), newReceived()
	member := func(own *received) stan.MsgHandler {
		return func(message *stan.Msg) {
			own.take(message)
			both.take(message)
		}
	}
	_, err := conn.QueueSubscribe("foo", "workers", member(first))
	must(err)
	_, err = other.QueueSubscribe("foo", "workers", member(second))
	must(err)
	_, err = other.Subscribe("foo", alone.take)
	must(err)
	fill(conn, "foo", 1, count)
	messages := both.settled(count)
	p.say("each once: %t", isEach(messages, count))
	p.say("both had their share: %t", len(first.all()) > count/10 && len(second.all()) > count/10)
	p.say("who is in no group got each: %t", isEach(alone.settled(count), count))
}

func durableQueue(p *peer) {
	conn := p.connect("me")
	defer conn.Close()
	join := func(name string, got *received) (stan.Subscription, error) {
		return conn.QueueSubscribe("foo", "workers", got.take, stan.DurableName(name), stan.DeliverAllAvailable())
	}
	_, err := join("a:b", newReceived())
	p.say("%s", text(err))
	both := newReceived()
	first, err := join("dur", both)
	must(err)
	second, err := join("dur", both)
	must(err)
	fill(conn, "foo", 1, 20)
	p.say("each once: %t", isEach(both.settled(20), 20))
	must(first.Close())
	must(second.Close())
	fill(conn, "foo", 21, 25)
	got := newReceived()
	again, err := join("dur", got)
	must(err)
	p.say("after its close: %s", told(got.settled(5)))
	must(again.Unsubscribe())
	anew := newReceived()
	_, err = join("dur", anew)
	must(err)
	p.say("after its end: each of 25: %t", isEach(anew.settled(25), 25))
}

// It subscribes in the midst of publishing.
func startUnderLoad(p *peer) {
	conn := p.connect("me")
	defer conn.Close()
	got := newReceived()
	var sent int32
	begun, done := make(chan error, 1), make(chan error, 1)
	go func() {
		end := time.Now().Add(patience)
		for len(got.all()) == 0 && time.Now().Before(end) {
			for count := 0; count < 100; count++ {
				_, err := conn.PublishAsync("foo", []byte("hello"), nil)
				must(err)
				atomic.AddInt32(&sent, 1)
			}
			select {
			case begun <- nil:
			default:
			}
		}
		done <- nil
	}()
	within("the first batch", begun)
	_, err := conn.Subscribe("foo", got.take, stan.DeliverAllAvailable())
	must(err)
	within("the end", done)
	count := int(atomic.LoadInt32(&sent))
	p.say("each once: %t", isEach(got.settled(count), count))
}

// What the library counts below, of a subscription that does not get on.
func counters(p *peer) {
	conn := p.connect("me")
	defer conn.Close()
	begun, goOn := make(chan error, 100), make(chan struct{})
	sub, err := conn.Subscribe("foo", func(*stan.Msg) {
		begun <- nil
		<-goOn
	})
	must(err)
	must(sub.SetPendingLimits(4, -1))
	p.say("valid: %t", sub.IsValid())
	must(conn.Publish("foo", nil))
	within("the first message", begun)
	fill(conn, "foo", 2, 10)
	// What is answered to a later request is behind all messages.
	_, err = conn.Subscribe("bar", func(*stan.Msg) {})
	must(err)
	pending, _, err := sub.Pending()
	must(err)
	dropped, err := sub.Dropped()
	must(err)
	delivered, err := sub.Delivered()
	must(err)
	p.say("%d pending, %d dropped, %d delivered", pending, dropped, delivered)
	close(goOn)
	must(sub.Unsubscribe())
	_, err = sub.Delivered()
	p.say("valid: %t, %s", sub.IsValid(), text(err))
}
