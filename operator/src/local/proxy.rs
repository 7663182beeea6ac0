//! The stable address for clients: whoever connects is led to the recorded primary, and is cut off when that changes.

use std::{io, net::SocketAddr, time::Duration};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
    time::{sleep, timeout},
};

/// Where clients are led.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lead {
    pub address: SocketAddr,
    /// Another primaryship is another lead, even at the same address.
    pub epoch: u64,
}

/// How long a new connection waits for a primary.
const PATIENCE: Duration = Duration::from_secs(10);
/// The pause before a primary that did not take a connection is tried again.
const RETRY: Duration = Duration::from_millis(20);

/// Takes connections until dropped. `lead`: nobody while there is no primary.
pub(super) async fn run(listener: TcpListener, lead: watch::Receiver<Option<Lead>>) {
    // Dropping the set ends the connections with this.
    let mut connections = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((client, _)) => {
                    connections.spawn(serve(client, lead.clone()));
                }
                Err(error) => {
                    // Out of file descriptors, most likely; it passes.
                    tracing::warn!("a connection could not be taken: {error}");
                    sleep(RETRY).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// One connection of a client, to its end.
async fn serve(mut client: TcpStream, mut lead: watch::Receiver<Option<Lead>>) {
    let Ok((at, mut server)) = timeout(PATIENCE, reach(&mut lead)).await else {
        tracing::debug!("a client was sent away: there is no primary");
        return;
    };
    if client.set_nodelay(true).is_err() {
        return;
    }
    tokio::select! {
        // How it ended is no news: one side or the other was gone.
        _ = copy_bidirectional(&mut client, &mut server) => {}
        _ = lead.wait_for(|lead| *lead != Some(at)) => {}
    }
}

/// A connection to the primary, as soon as there is one.
async fn reach(lead: &mut watch::Receiver<Option<Lead>>) -> (Lead, TcpStream) {
    loop {
        let at = *lead.borrow_and_update();
        if let Some(at) = at
            && let Ok(server) = connect(at.address).await
        {
            return (at, server);
        }
        tokio::select! {
            // The sender lives as long as the listener does.
            _ = lead.changed() => {}
            () = sleep(RETRY) => {}
        }
    }
}

async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let server = TcpStream::connect(address).await?;
    server.set_nodelay(true)?;
    Ok(server)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// A server that greets each connection with its name.
    async fn server(name: &'static [u8]) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let mut held = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                stream.write_all(name).await.unwrap();
                held.push(stream);
            }
        });
        address
    }

    async fn proxy() -> (SocketAddr, watch::Sender<Option<Lead>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (lead, led) = watch::channel(None);
        tokio::spawn(run(listener, led));
        (address, lead)
    }

    async fn greeting(stream: &mut TcpStream) -> [u8; 1] {
        let mut byte = [0];
        stream.read_exact(&mut byte).await.unwrap();
        byte
    }

    #[tokio::test]
    async fn a_client_that_comes_while_there_is_no_primary_waits_for_it() {
        let (address, lead) = proxy().await;
        let mut client = TcpStream::connect(address).await.unwrap();
        lead.send_replace(Some(Lead { address: server(b"a").await, epoch: 1 }));
        assert_eq!(greeting(&mut client).await, *b"a");
    }

    #[tokio::test]
    async fn clients_of_the_old_primary_are_cut_off_and_find_the_new_one() {
        let (address, lead) = proxy().await;
        lead.send_replace(Some(Lead { address: server(b"a").await, epoch: 1 }));
        let mut client = TcpStream::connect(address).await.unwrap();
        assert_eq!(greeting(&mut client).await, *b"a");
        lead.send_replace(Some(Lead { address: server(b"b").await, epoch: 2 }));
        assert_eq!(client.read(&mut [0; 8]).await.unwrap_or(0), 0);
        let mut client = TcpStream::connect(address).await.unwrap();
        assert_eq!(greeting(&mut client).await, *b"b");
    }
}
