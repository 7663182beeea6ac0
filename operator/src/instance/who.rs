//! Which process answers at an address: one question, on a connection of its own.

use std::{io, net::SocketAddr};

use tokio::net::TcpStream;

use super::{Password, USER, info::Info, resp::exchange};

/// The run id of the server that a connection to this address meets.
///
/// # Errors
/// It cannot be reached, or does not say.
pub(crate) async fn answers_at(address: SocketAddr, own: &Password) -> io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    exchange(&mut stream, &[b"AUTH".as_slice(), USER.as_bytes(), &own.0]).await?;
    let reply = exchange(&mut stream, &["INFO", "server"]).await?;
    let said = reply.text().and_then(|text| Info::read(&text).run_id().map(str::to_owned));
    said.ok_or_else(|| io::Error::other("it does not say which process it is"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;

    /// A server that answers a log-in and a question so, and then ends.
    async fn met(answers: [&'static str; 2]) -> io::Result<String> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut client, _) = listener.accept().await.unwrap();
            let mut bytes = [0; 1024];
            for answer in answers {
                let _ = client.read(&mut bytes).await.unwrap();
                client.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        answers_at(address, &Password(Arc::from(&b"secret"[..]))).await
    }

    #[tokio::test]
    async fn a_server_is_known_by_its_run_id() {
        assert_eq!(met(["+OK\r\n", "$19\r\n# Server\r\nrun_id:ab\r\n"]).await.unwrap(), "ab");
        assert!(met(["-WRONGPASS invalid\r\n", "-NOAUTH Authentication required.\r\n"]).await.is_err());
        assert!(met(["+OK\r\n", ""]).await.is_err(), "it has ended");
    }
}
