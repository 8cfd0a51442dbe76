//! MeiliES' own client on the command line: it follows streams and prints what comes, or says what it reads from its input.
//!
//!     meilies-peer <address> follow <spec>...     a line for each frame, until it is ended
//!     meilies-peer <address> say                  lines `publish <stream> <name> <data>`, `last <stream>`, `names`

use std::env;
use std::io::{self, BufRead};
use std::net::SocketAddr;
use std::process::exit;

use futures::{Future, Stream};
use meilies::reqresp::Response;
use meilies::stream::{EventData, EventName, Stream as Spec, StreamName};
use meilies_client::{paired_connect, sub_connect, PairedConnection};
use tokio::runtime::Runtime;

fn main() {
    let words: Vec<String> = env::args().skip(1).collect();
    let address: SocketAddr = words[0].parse().expect("an address");
    match words[1].as_str() {
        "follow" => follow(address, &words[2..]),
        "say" => say(address),
        other => panic!("no verb {}", other),
    }
}

fn follow(address: SocketAddr, words: &[String]) {
    let specs: Vec<Spec> = words.iter().map(|word| word.parse().expect("a spec")).collect();
    let following = sub_connect(address)
        .map_err(|error| eprintln!("connect: {}", error))
        .and_then(move |(mut controller, frames)| {
            for spec in specs {
                controller.subscribe_to(spec);
            }
            frames
                .for_each(|frame| Ok(print_frame(frame)))
                .map_err(|error| eprintln!("protocol: {}", error))
        });
    tokio::run(following);
    exit(1); // it connects again for as long as it can
}

fn print_frame(frame: Result<Response, String>) {
    match frame {
        Ok(Response::Event { stream, number, event_name, event_data }) => {
            println!("event {} {} {} {}", stream, number.0, event_name, String::from_utf8_lossy(&event_data.0))
        }
        Ok(Response::Subscribed { stream }) => println!("subscribed {}", stream),
        Ok(other) => println!("other {:?}", other),
        Err(text) => println!("error {}", text),
    }
}

fn say(address: SocketAddr) {
    let mut runtime = Runtime::new().expect("a runtime");
    let mut connection = runtime.block_on(paired_connect(address)).expect("a connection");
    for line in io::stdin().lock().lines() {
        let line = line.expect("a line");
        connection = match runtime.block_on(said(connection, &line)) {
            Ok(connection) => connection,
            // The client gives the connection up with the first error.
            Err(text) => {
                println!("{}", text);
                runtime.block_on(paired_connect(address)).expect("a connection")
            }
        };
    }
}

fn said(connection: PairedConnection, line: &str) -> Box<dyn Future<Item = PairedConnection, Error = String> + Send> {
    let words: Vec<&str> = line.splitn(4, ' ').collect();
    match words[0] {
        "publish" => {
            let stream = StreamName::new(words[1].to_owned()).expect("a stream");
            let name = EventName::new(words[2].to_owned()).expect("a name");
            let data = EventData(words[3].as_bytes().to_vec());
            let published = connection.publish(stream, name, data);
            Box::new(published.map(|connection| { println!("OK"); connection }).map_err(|error| error.to_string()))
        }
        "last" => {
            let stream = StreamName::new(words[1].to_owned()).expect("a stream");
            let asked = connection.last_event_number(stream);
            Box::new(
                asked
                    .map(|(stream, number, connection)| {
                        println!("{} {:?}", stream, number.map(|number| number.0));
                        connection
                    })
                    .map_err(|error| error.to_string()),
            )
        }
        "names" => Box::new(
            connection
                .stream_names()
                .map(|(streams, connection)| {
                    let names: Vec<String> = streams.into_iter().map(StreamName::into_inner).collect();
                    println!("{}", names.join(" "));
                    connection
                })
                .map_err(|error| error.to_string()),
        ),
        other => panic!("no verb {}", other),
    }
}
