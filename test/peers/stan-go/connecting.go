// Connecting: whom the server takes, and whose connection it is.
package main

import (
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/stan.go"
	"github.com/nats-io/stan.go/pb"
)

var connecting = map[string]scenario{
	"no server":        noServer,
	"wrong cluster":    wrongCluster,
	"name taken":       nameTaken,
	"borrowed":         borrowed,
	"options":          natsOptions,
	"both identifiers": bothIdentifiers,
}

func noServer(p *peer) {
	p.say("%s", p.refused(cluster, "me", stan.NatsURL("nats://"+freeAddress())))
}

// Where nobody listens: it was free a moment ago.
func freeAddress() string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	defer listener.Close()
	return listener.Addr().String()
}

func wrongCluster(p *peer) {
	nc := p.nats()
	defer nc.Close()
	wait := stan.ConnectWait(250 * time.Millisecond)
	p.say("%s", p.refused("another", "me", wait))
	p.ask("look who is there")
	// The first request subscribes for all answers that the connection will get.
	p.refused("another", "me", stan.NatsConn(nc), wait)
	before := nc.NumSubscriptions()
	for count := 0; count < 5; count++ {
		p.refused("another", "me", stan.NatsConn(nc), wait)
	}
	p.say("%d subscriptions left behind, connected: %t", nc.NumSubscriptions()-before, nc.IsConnected())
}

func nameTaken(p *peer) {
	first := p.connect("me")
	defer first.Close()
	nc := p.nats()
	defer nc.Close()
	p.say("%s", p.refused(cluster, "me", stan.NatsConn(nc)))
	before := nc.NumSubscriptions()
	p.say("%s", p.refused(cluster, "me", stan.NatsConn(nc)))
	p.say("%d subscriptions left behind", nc.NumSubscriptions()-before)
	p.say("the first publishes: %s", text(first.Publish("foo", nil)))
	must(first.Close())
	p.say("after its close: %s", p.refused(cluster, "me"))
	p.say("%s", p.refused(cluster, "not this one!"))
}

func borrowed(p *peer) {
	nc := p.nats()
	conn := p.connect("me", stan.NatsConn(nc))
	p.say("its own: %t", conn.NatsConn() == nc)
	must(conn.Publish("foo", nil))
	must(conn.Close())
	p.say("none after the close: %t", conn.NatsConn() == nil)
	p.say("connected: %t", nc.IsConnected())
	answers, err := nc.SubscribeSync("answers")
	must(err)
	must(nc.Publish("answers", []byte("still here")))
	message, err := answers.NextMsg(patience)
	must(err)
	p.say("%s", message.Data)
	again := p.connect("me", stan.NatsConn(nc))
	p.say("publishes again: %s", text(again.Publish("foo", nil)))
	must(again.Close())
	nc.Close()
	p.say("%s", p.refused(cluster, "me", stan.NatsConn(nc)))
}

func natsOptions(p *peer) {
	conn := p.connect("me")
	p.say("%s", conn.NatsConn().Opts.Name)
	p.say("%s", conn.NatsConn().ConnectedUrl())
	must(conn.Close())
	closed := make(chan error, 1)
	conn = p.connect("me", stan.NatsOptions(nats.Name("another"), nats.ClosedHandler(func(*nats.Conn) { closed <- nil })))
	p.say("%s", conn.NatsConn().Opts.Name)
	must(conn.Close())
	p.say("closed: %s", within("the end", closed))
}

// What everybody may read who listens to the subjects: both identifiers are in each publish, and the connection's is that of the
// request to connect.
func bothIdentifiers(p *peer) {
	nc := p.nats()
	defer nc.Close()
	connects, err := nc.SubscribeSync("_STAN.discover." + cluster)
	must(err)
	publishes, err := nc.SubscribeSync("_STAN.pub.>")
	must(err)
	must(nc.Flush())
	conn := p.connect("me")
	defer conn.Close()
	must(conn.Publish("foo", []byte("hello")))
	raw, err := connects.NextMsg(patience)
	must(err)
	request := pb.ConnectRequest{}
	must(request.Unmarshal(raw.Data))
	raw, err = publishes.NextMsg(patience)
	must(err)
	publish := pb.PubMsg{}
	must(publish.Unmarshal(raw.Data))
	sameSubject := strings.HasSuffix(raw.Subject, ".foo")
	sameConnection := len(publish.ConnID) > 0 && fmt.Sprint(publish.ConnID) == fmt.Sprint(request.ConnID)
	p.say("%s %t %t %s", publish.ClientID, sameConnection, sameSubject, publish.Data)
}
