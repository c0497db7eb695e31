//! A TCP relay between a client and a server, which can stop carrying anything without closing: a cable that was pulled.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Carries every connection until it is frozen.
pub struct Relay {
    pub address: SocketAddr,
    frozen: Arc<watch::Sender<bool>>,
    accepting: JoinHandle<()>,
    carrying: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

impl Relay {
    pub async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let frozen = Arc::new(watch::Sender::new(false));
        let switch = Arc::clone(&frozen);
        let carrying = Arc::new(Mutex::new(Vec::new()));
        let carried = Arc::clone(&carrying);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(server).await.unwrap();
                client.set_nodelay(true).unwrap();
                server.set_nodelay(true).unwrap();
                let ((client_in, client_out), (server_in, server_out)) = (client.into_split(), server.into_split());
                let up = tokio::spawn(carry(client_in, server_out, switch.subscribe()));
                let down = tokio::spawn(carry(server_in, client_out, switch.subscribe()));
                carried.lock().unwrap().extend([up, down]);
            }
        });
        Self { address, frozen, accepting, carrying }
    }

    /// Closes every connection.
    pub fn cut(&self) {
        self.carrying.lock().unwrap().drain(..).for_each(|carrying| carrying.abort());
    }

    /// Carries nothing more; both ends stay open.
    pub fn freeze(&self) {
        self.frozen.send_replace(true);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut();
    }
}

async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut frozen: watch::Receiver<bool>) {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = tokio::select! {
            () = stopped(&mut frozen) => break,
            read = from.read(&mut buffer) => read,
        };
        match read {
            Ok(0) | Err(_) => return,
            Ok(read) => {
                if to.write_all(&buffer[..read]).await.is_err() {
                    return;
                }
            }
        }
    }
    // Held open: whoever waits for it waits.
    std::future::pending::<()>().await;
}

async fn stopped(frozen: &mut watch::Receiver<bool>) {
    let _ = frozen.wait_for(|frozen| *frozen).await;
}
