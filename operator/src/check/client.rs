//! A client as it should be: what does not get through is tried again, on a new connection.

use std::time::{Duration, Instant};

use tokio::{
    net::TcpStream,
    time::{sleep, timeout},
};

use super::Error;
use crate::instance::resp::{Reply, exchange};

/// How long an answer is waited for.
const ANSWER: Duration = Duration::from_secs(10);
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(200);
/// What servers answer while a primary moves or one of them has just started: it passes, or another one is led to. Everything else is final.
const PASSING: [&str; 6] = ["READONLY", "NOQUORUM", "LOADING", "MASTERDOWN", "NOREPLICAS", "UNBLOCKED"];

/// One client.
pub(super) struct Client {
    address: String,
    password: Vec<u8>,
    /// How long one request is tried again.
    patience: Duration,
    /// What tells the values that it writes from those of earlier runs.
    run: String,
    stream: Option<TcpStream>,
}

impl Client {
    pub fn new(address: String, password: Vec<u8>, patience: Duration, run: String) -> Self {
        Self { address, password, patience, run, stream: None }
    }

    /// Writes the key of this number.
    pub async fn write(&mut self, n: u32, slowest: &mut Duration) -> Result<(), Error> {
        let (key, value) = (key(n), self.value(n));
        let begun = Instant::now();
        self.ask(&[b"SET", key.as_bytes(), value.as_bytes()]).await?;
        *slowest = begun.elapsed().max(*slowest);
        Ok(())
    }

    /// Reads all keys that were written, and finds what is lost.
    pub async fn read_all(&mut self, written: u32) -> Result<(), Error> {
        let mut lost = Vec::new();
        for n in 0..written {
            let reply = self.ask(&[b"GET", key(n).as_bytes()]).await?;
            if reply.text().is_none_or(|text| text != self.value(n)) {
                lost.push(key(n));
            }
        }
        match lost.first().cloned() {
            Some(first) => Err(Error::Lost { lost: lost.len(), asked: written, first }),
            None => Ok(()),
        }
    }

    fn value(&self, n: u32) -> String {
        format!("{}:{n}", self.run)
    }

    async fn ask(&mut self, words: &[&[u8]]) -> Result<Reply, Error> {
        let begun = Instant::now();
        loop {
            let asked = timeout(ANSWER, self.try_to_ask(words)).await;
            let (why, passes) = match asked {
                Ok(Ok(Reply::Error(error))) => {
                    let passes = PASSING.iter().any(|word| error.split(' ').next() == Some(word));
                    (error, passes)
                }
                Ok(Ok(reply)) => return Ok(reply),
                Ok(Err(error)) => (error.to_string(), true),
                Err(_) => (format!("no answer in {} s", ANSWER.as_secs()), true),
            };
            // What failed may be of a server that is no longer led to.
            self.stream = None;
            if !passes || begun.elapsed() >= self.patience {
                let what = words.iter().map(|word| String::from_utf8_lossy(word)).collect::<Vec<_>>().join(" ");
                let seconds = begun.elapsed().as_secs();
                return Err(Error::Client { what, address: self.address.clone(), why, seconds });
            }
            sleep(PAUSE).await;
        }
    }

    async fn try_to_ask(&mut self, words: &[&[u8]]) -> std::io::Result<Reply> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => {
                let mut stream = TcpStream::connect(&self.address).await?;
                stream.set_nodelay(true)?;
                if let Reply::Error(error) = exchange(&mut stream, &[b"AUTH".as_slice(), &self.password]).await? {
                    return Ok(Reply::Error(error));
                }
                stream
            }
        };
        let reply = exchange(&mut stream, words).await?;
        self.stream = Some(stream);
        Ok(reply)
    }
}

fn key(n: u32) -> String {
    format!("check:{n}")
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;

    /// A Service behind which each connection meets another server: each takes the password and answers one request; with nothing, it closes.
    async fn service(answers: &'static [&'static str]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            for answer in answers {
                let (mut client, _) = listener.accept().await.unwrap();
                let mut bytes = [0; 1024];
                let _ = client.read(&mut bytes).await.unwrap();
                client.write_all(b"+OK\r\n").await.unwrap();
                let _ = client.read(&mut bytes).await.unwrap();
                client.write_all(answer.as_bytes()).await.unwrap();
                // Until the client gives the connection up.
                while !answer.is_empty() && client.read(&mut bytes).await.is_ok_and(|read| read > 0) {}
            }
        });
        address
    }

    async fn write(answers: &'static [&'static str], patience: Duration) -> Result<(), Error> {
        let mut client = Client::new(service(answers).await, b"secret".to_vec(), patience, "1".into());
        let mut slowest = Duration::ZERO;
        client.write(0, &mut slowest).await
    }

    #[tokio::test]
    async fn a_write_is_tried_again_on_a_new_connection_until_it_is_taken() {
        let moving = &[
            "-READONLY You can't write against a read only replica.\r\n",
            "-NOQUORUM This primary has no fresh votes of a majority\r\n",
            "",
            "-LOADING Valkey is loading the dataset in memory\r\n",
            "+OK\r\n",
        ];
        write(moving, Duration::from_secs(600)).await.unwrap();
    }

    #[tokio::test]
    async fn when_patience_is_at_its_end_the_last_answer_is_told() {
        let error = write(&["-READONLY You can't write\r\n"], Duration::ZERO).await.unwrap_err().to_string();
        assert!(error.contains("SET check:0 1:0") && error.contains("READONLY You can't write"), "{error}");
    }

    #[tokio::test]
    async fn what_does_not_pass_is_told_at_once() {
        let error = write(&["-OOM command not allowed\r\n", "+OK\r\n"], Duration::from_secs(600)).await.unwrap_err();
        assert!(error.to_string().contains("OOM command not allowed"), "{error}");
    }
}
