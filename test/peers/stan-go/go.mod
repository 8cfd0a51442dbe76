// The program with stan.go that test/peers/stan-go.test.ts runs; go.sum names all that comes with it. Go 1.19 is Debian 12's.
module leveret/stan-go

go 1.19

require (
	github.com/nats-io/nats.go v1.22.1
	github.com/nats-io/stan.go v0.10.4
)

require (
	github.com/gogo/protobuf v1.3.2 // indirect
	github.com/nats-io/nkeys v0.3.0 // indirect
	github.com/nats-io/nuid v1.0.1 // indirect
	golang.org/x/crypto v0.5.0 // indirect
)
